"""diversity: embeddings, n-grams, words -> clusters, ownership, topics -> a score in (0, 1)."""
