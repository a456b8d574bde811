"""Several processes: how they start, meet, stop and agree."""
