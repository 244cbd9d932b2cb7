"""Measures at inference, run and compared: what each recovers without training."""
