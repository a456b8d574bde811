"""Checkpoints: what is saved, how, and whether a resumed run is exact."""
