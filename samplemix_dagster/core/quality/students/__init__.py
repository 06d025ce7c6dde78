"""Students of a reference, and how well they stand for it."""
