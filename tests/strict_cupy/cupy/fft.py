"""array-api-compat imports this module; nothing here uses it."""
