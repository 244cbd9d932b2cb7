"""Tests of what loads and runs detectors."""
