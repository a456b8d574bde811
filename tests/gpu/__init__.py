"""What needs a GPU: tests (`pytest -m gpu`), and a report of speed and exactness (`python -m gpu`)."""
