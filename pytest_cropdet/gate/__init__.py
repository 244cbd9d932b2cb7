"""Run, stop early, judge, and word the failure."""
