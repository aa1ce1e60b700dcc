"""Arrays, functions and fused functions."""
