"""pytest's side: options, fixtures, hooks, workers, and the reports at the end."""
