"""A project as a Dagster component: a few lines of ``defs.yaml`` in a team's own project."""

from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from samplemix_dagster.definitions import build_defs


@dataclass(kw_only=True)
class SampleMixComponent(dg.Component, dg.Resolvable):
    """The assets, checks, jobs, schedule and sensors of one SampleMix project."""

    config: str
    """The project's samplemix.yaml; a relative path begins at the folder of defs.yaml."""
    key_prefix: str | None = None
    """Parts before every asset key, joined by /; jobs, sensors and resources have them too."""
    group_prefix: str | None = None
    """What is before each group; the key's prefix when absent."""
    with_report: bool = True
    """Whether the dbt models are part of it."""

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return the project's definitions.

        Raises:
            ConfigError: The configuration has an error, or a prefix cannot stand before a name.
        """
        folder = context.path if context.path.is_dir() else context.path.parent
        return build_defs(
            config=(folder / Path(self.config).expanduser()).resolve(),
            key_prefix=self.key_prefix,
            group_prefix=self.group_prefix,
            with_report=self.with_report,
        )
