"""What the user hands in, checked once and nowhere below."""
