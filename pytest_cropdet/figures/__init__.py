"""Figures, drawn with matplotlib's objects alone, without pyplot: no backend and no open figure changes."""
