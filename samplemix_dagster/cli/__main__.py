"""``python -m samplemix_dagster.cli``."""

from samplemix_dagster.cli.app import main

main()
