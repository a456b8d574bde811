"""Judges: classifiers that metrics apply to generated images."""
