"""The version, where building and running both find it without importing anything."""

__version__ = "0.1.0"
