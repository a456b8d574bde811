"""Runs side by side, as tables."""
