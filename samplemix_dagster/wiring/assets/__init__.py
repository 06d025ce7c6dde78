"""One module per stage: what Dagster shows."""
