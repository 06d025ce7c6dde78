"""mixture: scores and a law -> weights -> copies of each document, by hash."""
