"""The part of SciPy that CuPy has."""
