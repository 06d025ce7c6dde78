"""A fit to the whole corpus."""
