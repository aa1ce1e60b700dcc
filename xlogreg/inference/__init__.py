"""What an answer says about the population."""
