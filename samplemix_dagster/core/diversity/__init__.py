"""diversity: embeddings, n-grams and words -> clusters, ownership and topics -> a score in (0, 1)."""
