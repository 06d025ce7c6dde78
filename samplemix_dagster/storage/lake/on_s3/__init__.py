"""A lake on S3."""
