"""Families of crops at five severities: mPC and rPC."""
