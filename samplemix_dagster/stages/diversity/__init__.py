"""Diversity: distance, novelty and rarity of a document in its corpus, as a score in (0, 1)."""
