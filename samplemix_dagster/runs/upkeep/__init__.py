"""Running it, mending it, cleaning up, telling."""
