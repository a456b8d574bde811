"""A run, from its file to its folder."""
