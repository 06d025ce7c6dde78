"""The lake's views inside dbt: a dbt-duckdb plugin, named in ``dbt/profiles.yml``.

dbt loads this module and makes a ``Plugin`` of it; nothing else imports it. What the views are is
``views.py``'s.
"""

from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin

from samplemix_dagster.storage.lake import Lake
from samplemix_dagster.storage.views import view_statements


class Plugin(BasePlugin):
    """Makes the lake's views in a connection's database; DuckDB spills beside the reports."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Take the lake's folder from the profile."""
        self.lake = Lake(Path(plugin_config["lake"]).absolute())
        assert self.creds is not None  # noqa: S101 - dbt always hands them over
        self.reports = Path(self.creds.external_root).absolute()

    def configure_connection(self, conn: Any) -> None:
        """Make the views; sources in ``models/staging/sources.yml`` name them."""
        self.reports.mkdir(parents=True, exist_ok=True)
        spill = str(self.reports / ".spill").replace("'", "''")
        conn.execute(f"set temp_directory = '{spill}'")
        for statement in view_statements(self.lake):
            conn.execute(statement)
