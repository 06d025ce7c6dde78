"""What a terminal is told."""
