"""The public fits, and the steps that lead from (X, Y) to their models."""
