"""dbt at work: where its project is, its manifest, and a run of it in a process of its own.

It writes below the project's home only, and a person's own dbt settings do not reach it.
"""

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version as package_version
from pathlib import Path

from samplemix_dagster.errors import ConfigError
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.keys import BUILDING
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.storage.lake.whole_files import remove_folder

_PACKAGE = Path(__file__).parents[2]
_ENTRY = "from dbt.cli.main import cli; cli()"
BUILDING_FOLDER = f"{keys.REPORTS}/{BUILDING}"
VIEWS_FILE = f"{BUILDING_FOLDER}/views.json"


_MANIFEST = "manifest.json"
_PARTIAL_PARSE = "partial_parse.msgpack"
_TAIL_LINES = 20
_PLAIN = re.compile(r"[\w./ +,=@:#~-]+")
_LEFT_OUT = {"target", "logs", "dbt_packages"}


def dbt_folder() -> Path:
    """Return the dbt project's folder: inside an installed package, or beside it in a checkout.

    Raises:
        ConfigError: Neither is there.
    """
    for folder in (_PACKAGE / "dbt_project", _PACKAGE.parent / "dbt"):
        if (folder / "dbt_project.yml").is_file():
            return folder
    raise ConfigError(f"no dbt project beside {_PACKAGE}: the installation is not complete.")


def report_models() -> list[str]:
    """Return the names of the report models."""
    return sorted(path.stem for path in (dbt_folder() / "models" / "reports").glob("*.sql"))


def dbt_digest() -> str:
    """Return the digest of the dbt project's files and of the dbt that reads them."""
    folder = dbt_folder()
    digest = hashlib.blake2b(digest_size=12)
    for package in ("dbt-core", "dbt-duckdb"):
        digest.update(f"{package}=={package_version(package)}\n".encode())
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if path.is_file() and inner.parts[0] not in _LEFT_OUT and not path.name.startswith("."):
            content = path.read_bytes()
            digest.update(f"{inner.as_posix()}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()


def dbt_manifest(lake: Lake, home: Path) -> Path:
    """Return the manifest of the dbt project as it is now; dbt parses it only when a file changed.

    Raises:
        ConfigError: dbt cannot parse the project.
    """
    digest = dbt_digest()
    path = home / "dbt" / digest / _MANIFEST
    if not path.is_file():
        with Lake(home / "dbt").fill_folder(digest, _MANIFEST) as aside:
            done = run_dbt(["parse"], aside, lake)
            if done.returncode:
                raise ConfigError(f"dbt cannot parse {dbt_folder()}:\n{tail(done.stdout)}")
    return path


def run_dbt(arguments: list[str], target: Path, lake: Lake) -> subprocess.CompletedProcess[str]:
    """Run dbt; everything it writes goes to ``target`` and to the folder of the build."""
    folder = dbt_folder()
    # A person's own dbt settings must not reach into this project.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DBT_")}
    paths = [str(_PACKAGE.parent), *filter(None, [environment.get("PYTHONPATH")])]
    environment |= {
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "PYTHONPATH": os.pathsep.join(paths),
        "SAMPLEMIX_LAKE": str(lake.root.absolute()),
        "SAMPLEMIX_VIEWS": str((lake.root / VIEWS_FILE).absolute()),
    }
    options = ["--project-dir", str(folder), "--profiles-dir", str(folder), "--no-use-colors"]
    options += ["--target-path", str(target.absolute()), "--log-path", str(target.absolute())]
    options += ["--log-level-file", "info"]
    with _plainly_named((lake.root / BUILDING_FOLDER).absolute()) as reports:
        return subprocess.run(
            [sys.executable, "-c", _ENTRY, *arguments, *options],
            cwd=target,
            env={**environment, "SAMPLEMIX_REPORTS": str(reports)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )


@contextlib.contextmanager
def _plainly_named(folder: Path) -> Iterator[Path]:
    """Yield a folder's path, or a link to it where its name would break the SQL that dbt writes.

    dbt-duckdb puts the path between quotes as it is, and DuckDB takes brackets for a pattern.
    """
    if _PLAIN.fullmatch(str(folder)):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="samplemix-report-") as aside:
        link = Path(aside) / "reports"
        link.symlink_to(folder)
        yield link


def forget_others(current: Path) -> None:
    """Remove what dbt made of earlier states of the project's files."""
    for folder in current.parent.iterdir():
        if folder != current and not folder.name.startswith("."):
            remove_folder(folder)


def run_folder(parsed: Path) -> Path:
    """Return the folder in which builds run; it starts with what parsing has learnt."""
    run = parsed / "run"
    run.mkdir(exist_ok=True)
    (run / "run_results.json").unlink(missing_ok=True)
    if not (run / _PARTIAL_PARSE).exists() and (parsed / _PARTIAL_PARSE).exists():
        shutil.copyfile(parsed / _PARTIAL_PARSE, run / _PARTIAL_PARSE)
    return run


def tail(text: str) -> str:
    """Return the last lines of what a program said."""
    return "\n".join(text.strip().splitlines()[-_TAIL_LINES:])
