"""Files for trainers."""
