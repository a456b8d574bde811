"""Batches of real samples: which ones, where they live, how they reach the device."""
