"""A stage over the shards of a partition."""
