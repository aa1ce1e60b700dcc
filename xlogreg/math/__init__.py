"""Equations of the notes, as pure functions of arrays that name no array library."""
