"""Convolutions and their derivatives, faster than torch's on a CPU."""
