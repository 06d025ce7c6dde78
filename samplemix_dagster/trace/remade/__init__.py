"""A project as a version saw it, made again where it is not stored."""
