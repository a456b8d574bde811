"""Other ways to execute the same update: compiled, or replayed as a CUDA graph."""
