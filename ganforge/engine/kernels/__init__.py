"""Convolutions and their derivatives, faster than torch has them on a CPU."""
