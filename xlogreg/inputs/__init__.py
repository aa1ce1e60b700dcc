"""Checks of what the user hands in; they are made once, here, and nowhere below."""
