"""A version, drawn and scored again."""
