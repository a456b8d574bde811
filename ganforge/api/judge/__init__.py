"""Judges: classifiers that metrics ask about generated images."""
