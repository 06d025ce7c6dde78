"""Where the work on shards is done: in this process, in processes beside it, on a Ray cluster."""
