"""The cost as a function of the parameters, and the ways to its minimum. Solvers see an objective, never samples."""
