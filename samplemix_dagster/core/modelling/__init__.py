"""What everything that trains or counts a model shares."""
