"""From (X, Y) to models: every public fit, and the road between."""
