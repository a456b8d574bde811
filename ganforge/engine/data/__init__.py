"""Batches of real samples: which ones, where they are stored, how they reach the device."""
