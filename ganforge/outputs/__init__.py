"""What a run writes: its folder, metrics, images, curves and report."""
