"""What CuPy has beside arrays."""
