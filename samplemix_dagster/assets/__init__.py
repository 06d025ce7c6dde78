"""One module per stage: read, call, write, report."""
