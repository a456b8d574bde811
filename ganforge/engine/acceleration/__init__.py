"""Other ways to run the same update: compiled, or replayed as a CUDA graph."""
