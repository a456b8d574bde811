"""Samples from a generator and its moving average."""
