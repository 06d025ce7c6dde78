"""Where a project stands, and what failed last."""
