"""Matching, AP and resampling; numbers with bounds, and what a limit makes of them."""
