"""The engine: the update, the loop around it, and what both need of the machine."""
