"""The update: two sides, one loss, one optimiser step."""
