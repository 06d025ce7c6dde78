"""What each stage is."""
