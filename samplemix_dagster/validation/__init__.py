"""validation: what a mixture version is worth, where that can be known."""
