"""A project from a folder of text, and from text that is on every machine."""
