"""The copy of a run on an experiment tracker."""
