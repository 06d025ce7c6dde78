"""What is stale and why, and what it costs."""
