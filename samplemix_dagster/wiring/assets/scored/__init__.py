"""The assets of scores, from shards to the law."""
