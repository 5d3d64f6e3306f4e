"""Measurements, not tests: `make bench` and scripts run by hand."""
