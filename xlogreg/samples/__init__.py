"""Training samples in blocks, wherever they live; their one operation is `sum`, one pass over all samples."""
