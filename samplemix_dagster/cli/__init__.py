"""The commands: ``samplemix``, or ``python -m samplemix_dagster.cli``."""

from samplemix_dagster.cli.root import app, main

__all__ = ["app", "main"]
