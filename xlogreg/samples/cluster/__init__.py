"""Training samples that the workers of a dask cluster hold."""
