"""junk: clean texts of a source -> texts that no choice of documents should take, with labels."""
