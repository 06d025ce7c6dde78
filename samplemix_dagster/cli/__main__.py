"""``python -m samplemix_dagster.cli``."""

from samplemix_dagster.cli.root import main

main()
