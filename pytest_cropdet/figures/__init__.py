"""Figures of what a run found, each drawn from the built-in values of its JSON."""
