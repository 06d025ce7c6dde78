"""The lake, asked in SQL."""
