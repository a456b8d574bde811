"""Multi-process training: launch, rendezvous, stop and agreement."""
