"""What an update measures without waiting for the device."""
