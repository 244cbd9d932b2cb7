"""What runs a model file: one adapter for each runtime, and how its outputs are read."""
