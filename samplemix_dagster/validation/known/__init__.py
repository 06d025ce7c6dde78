"""What labels say: which documents are clean, and which are junk of a kind."""
