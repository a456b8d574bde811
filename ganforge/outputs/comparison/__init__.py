"""Comparison of runs, as tables."""
