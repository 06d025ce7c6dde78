"""Who made something, when, with which code and packages: for manifests, never for versions."""

import contextlib
import datetime as dt
import functools
import getpass
import importlib.metadata
import platform
import subprocess
from pathlib import Path

from samplemix_dagster import __version__

_PACKAGES = (
    "dagster",
    "duckdb",
    "hdbscan",
    "numpy",
    "pyarrow",
    "scikit-learn",
    "scipy",
    "sentence-transformers",
    "tokenizers",
    "torch",
    "transformers",
    "umap-learn",
)


def provenance(root: Path, run_id: str | None) -> dict[str, object]:
    """Return time, person, packages, the project folder's git commit, and the run."""
    return {
        "made_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "made_by": _person(),
        "run_id": run_id,
        "samplemix_version": __version__,
        "packages": _versions(),
        "git": git_state(root),
    }


def _person() -> str | None:
    with contextlib.suppress(OSError, KeyError, ImportError):
        return getpass.getuser()
    return None


@functools.cache
def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def git_state(root: Path) -> dict[str, object] | None:
    """Return the commit of the folder's repository and whether it was dirty; None outside one."""
    try:
        commit = _git(root, "rev-parse", "HEAD")
        is_dirty = bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "is_dirty": is_dirty}


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *words], capture_output=True, text=True, timeout=5, check=True
    )
    return done.stdout.strip()


@functools.cache
def machine_marks() -> tuple[str, ...]:
    """Return what tells this machine from another as far as models care, without loading torch."""
    devices = sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))
    processor = ""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return (platform.node(), platform.machine(), processor, *devices, _versions().get("torch", ""))
