"""Statistics that tell what a fit says about the population."""
