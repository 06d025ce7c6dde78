"""Numbers in, numbers out: no files, no Dagster, no clock, no environment, no global generator."""
