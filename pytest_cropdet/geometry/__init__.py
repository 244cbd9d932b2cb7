"""Boxes, masks and windows as arithmetic."""
