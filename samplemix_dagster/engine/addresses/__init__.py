"""What each result depends on, and so where it lies."""
