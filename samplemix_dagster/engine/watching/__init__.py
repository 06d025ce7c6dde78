"""Which files of sources came, changed or went, and which still move."""
