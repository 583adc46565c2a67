"""Metrics and their intervals, on arrays."""
