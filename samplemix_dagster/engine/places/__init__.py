"""Where sources and the lake lie, and who is at work."""
