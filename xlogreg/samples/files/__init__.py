"""Training samples that are read from files or from an iterator, block by block."""
