"""What an export is made of: the order of draws, their setting aside, their reading back."""
