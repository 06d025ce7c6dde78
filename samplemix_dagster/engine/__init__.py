"""How a map over shards is run, what each stage depends on, and what is stale."""
