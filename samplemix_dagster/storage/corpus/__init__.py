"""Which shards there are, and their documents."""
