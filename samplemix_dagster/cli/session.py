"""The project's Dagster instance: where it lives, a run in this process, the UI.

State lies in ``.samplemix/dagster`` beside ``samplemix.yaml``. Telemetry and the sign-up dialog are
off, and the webserver stands behind a door (``door/``) that opens on this machine only.
"""

import logging
import os
from pathlib import Path

import dagster as dg
import yaml

from samplemix_dagster.definitions import build_defs
from samplemix_dagster.door.front import serve
from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import ConfigError
from samplemix_dagster.runs.work.unfinished import abandoned, forget, noted
from samplemix_dagster.show.bars import Bars, waiting
from samplemix_dagster.show.terminal import say
from samplemix_dagster.storage.corpus.home import make_folder, write_note
from samplemix_dagster.storage.corpus.places.patterns import WILD
from samplemix_dagster.wiring.jobs.parts import Choice
from samplemix_dagster.wiring.running.command_run import publish_here
from samplemix_dagster.wiring.running.reaping import reap_dead_runs, reaping_meanwhile
from samplemix_dagster.wiring.running.resources import CONFIG_VARIABLE, report_progress_to
from samplemix_dagster.wiring.running.run_report import RunReport

_POOLS = """\
  # One run at a time computes on the device, whoever started it; 2 where two fit.
  pools:
    default_limit: 1
"""
_RETRIES = """\
run_retries:
  enabled: true
  max_retries: 2
  retry_on_asset_or_op_failure: false
"""
"""A run that was killed is started again; one that failed is not, since it would fail again."""


def _settings(*, pools: str = _POOLS, retries: str = _RETRIES) -> str:
    return f"""\
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 1
{pools}{retries}python_logs:
  python_log_level: INFO
"""


_EARLIER = (_settings(pools=""), _settings(pools="", retries=""))
"""What earlier releases wrote. Where nobody has changed a letter, it is brought up to date."""


def dagster_home(project: Project) -> Path:
    """Return the instance's folder, with its settings in place."""
    home = make_folder(project.home / "dagster")
    settings = home / "dagster.yaml"
    if not settings.exists() or settings.read_text(encoding="utf-8") in _EARLIER:
        write_note(settings, _settings())  # whole: another process may be reading it
    return home


def _instance(project: Project) -> dg.DagsterInstance:
    """Return the instance with its own settings, also where Dagster would not find the file.

    Dagster takes the file's path for a pattern: below a folder with brackets it finds none, and
    would begin with its defaults, telemetry among them.
    """
    from dagster._core.instance.ref import InstanceRef

    home = dagster_home(project)
    settings = yaml.safe_load((home / "dagster.yaml").read_text(encoding="utf-8")) or {}
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides=settings))


def run_in_instance(project: Project, choice: Choice, *, verbose: bool) -> RunReport:
    """Run the job ``publish`` with progress bars; it remembers failures for ``status``."""
    if not verbose:
        logging.getLogger("dagster").setLevel(logging.CRITICAL)
    with waiting("Starting Dagster"):
        definitions = build_defs(
            project, with_report=not choice.select or "report" in choice.select
        )
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    with (
        _instance(project) as instance,
        reaping_meanwhile(instance),
        noted(project.home),
        project.at_work(say),
        Bars() as bars,
    ):
        notes = abandoned(project.home)
        report_progress_to(bars.update)
        report = publish_here(  # it tells Dagster of runs whose process is gone
            project,
            definitions.get_repository_def(),
            instance,
            choice,
            on_event=bars.note,
            quiet=not verbose,
        )
        forget(notes)
        return report


def tell_of_killed_runs(project: Project) -> None:
    """Let Dagster show runs as failed that were killed after their last table was written."""
    notes = abandoned(project.home)
    with _instance(project) as instance:
        reap_dead_runs(instance)
    forget(notes)


def serve_ui(project: Project, port: int) -> int:
    """Serve the Dagster UI and its daemon until they are stopped; return the exit code.

    Raises:
        ConfigError: Dagster does not find its settings in a folder of such a name.
    """
    home = dagster_home(project)
    if WILD.search(str(home)):
        raise ConfigError(
            f"{project.root}: the UI cannot be served from a folder with [, * or ? in its name, "
            "since Dagster takes that for a pattern; rename the folder. Every other command works."
        )
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        CONFIG_VARIABLE: str(project.config_path),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "DAGSTER_IS_DEV_CLI": "1",
        # Dagster tells its own developers, at each start, what it will change.
        "PYTHONWARNINGS": "ignore::FutureWarning,ignore::DeprecationWarning",
    }
    return serve(project.config_path, environment, home, port)
