"""The training samples in blocks, wherever they live; one operation, `sum`, which is one pass."""
