"""Tests of pytest-cropdet, which read as sentences about what holds."""
