"""Measurements during an update that do not synchronize the device."""
