"""ganforge: train any GAN from one validated file."""

__version__ = "0.1.0"
