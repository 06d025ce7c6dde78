"""What an asset shows of what was made."""
