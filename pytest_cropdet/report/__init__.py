"""What a run looks like: terminal, JSON, properties of tests. Nothing is computed here."""
