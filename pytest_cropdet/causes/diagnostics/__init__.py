"""Diagnostics that need no further detector call: error types, labels, bias, breakdowns, anchors, shift."""
