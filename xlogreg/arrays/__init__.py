"""Array libraries and their devices: the differences between them, and the places where arrays live."""
