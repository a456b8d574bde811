"""The Python API: what `import ganforge` offers, and what the commands are a thin layer over."""
