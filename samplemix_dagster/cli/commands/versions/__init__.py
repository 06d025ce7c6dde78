"""What is asked of mixture versions and of their exports."""
