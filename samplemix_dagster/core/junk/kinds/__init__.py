"""The kinds of junk, by where they come from."""
