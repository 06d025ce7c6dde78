"""What is computed of a shard, and by whom."""
