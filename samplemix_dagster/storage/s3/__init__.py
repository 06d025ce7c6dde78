"""S3, as this package needs it."""
