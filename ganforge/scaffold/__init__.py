"""Files of new projects, from templates."""
