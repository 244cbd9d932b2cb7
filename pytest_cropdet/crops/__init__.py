"""Which windows: families, plans, and Hypothesis strategies that draw them."""
