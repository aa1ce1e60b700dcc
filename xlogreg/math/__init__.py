"""The equations of the notes: pure functions of arrays, which name no library."""
