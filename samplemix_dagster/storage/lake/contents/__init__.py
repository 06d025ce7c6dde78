"""What the files of a lake hold."""
