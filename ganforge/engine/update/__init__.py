"""The update: two sides, one loss, one optimizer step."""
