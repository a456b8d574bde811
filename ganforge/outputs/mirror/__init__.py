"""The copy of a run at an experiment tracker."""
