"""The lake's views inside dbt: a dbt-duckdb plugin, named in ``dbt/profiles.yml``.

dbt loads this module and makes a ``Plugin`` of it; nothing else imports it. What the views are is
``relations/views.py``'s. A build hands them over as a file of statements on local files, so
that dbt needs no access to a lake on S3.
"""

import json
from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin

from samplemix_dagster.storage.ask.relations.views import view_statements
from samplemix_dagster.storage.lake.lake import Lake


class Plugin(BasePlugin):
    """Makes the lake's views in a connection's database; DuckDB spills beside the reports."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Take the lake's folder, and the statements where there are some, from the profile."""
        self.views = Path(plugin_config.get("views") or "")
        self.lake = Lake(Path(plugin_config["lake"]).absolute())
        assert self.creds is not None  # noqa: S101 - dbt always hands them over
        self.reports = Path(self.creds.external_root).absolute()

    def configure_connection(self, conn: Any) -> None:
        """Make the views; sources in ``models/staging/sources.yml`` name them."""
        self.reports.mkdir(parents=True, exist_ok=True)
        spill = str(self.reports / ".spill").replace("'", "''")
        conn.execute(f"set temp_directory = '{spill}'")
        is_given = self.views.is_file()
        statements = json.loads(self.views.read_bytes()) if is_given else view_statements(self.lake)
        for statement in statements:
            conn.execute(statement)
