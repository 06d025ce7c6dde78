"""Documents that hold text of evaluations."""
