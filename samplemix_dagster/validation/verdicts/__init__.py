"""What trainings tell, and what they cost."""
