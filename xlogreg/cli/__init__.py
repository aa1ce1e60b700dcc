"""The command line."""

from xlogreg.cli.parser import main

__all__ = ["main"]
