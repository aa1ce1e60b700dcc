"""Solvers: one file each, one function `minimize` each. They see an objective, never samples."""
