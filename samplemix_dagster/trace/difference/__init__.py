"""Two versions, split by cause."""
