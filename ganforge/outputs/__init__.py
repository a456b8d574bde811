"""What a run leaves behind: its folder, figures, pictures, curves and report."""
