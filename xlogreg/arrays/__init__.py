"""Array libraries and their devices: what differs between them, and where arrays live."""
