"""Jobs: what a person clicks."""
