"""Word n-grams: hashed, owned, and how common they are."""
