"""Kept lakes: what an older form of this package wrote, with its project, packed.

``python -m tests.golden.kept OUT.tar.gz`` packs the golden project as today's code makes it. A kept
lake is never made again: that it was written by the code of its day is what it is for.
"""

import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.golden.project import run_history, write_project

FORM_2 = Path(__file__).with_name("form-2.tar.gz")
"""Written when a mixture version's manifest had form 2."""
_LEFT_OUT = ("claims", "dagster", "looks", "cache")


def unpack(kept: Path, root: Path) -> Path:
    """Write a kept project with its lake into a folder; times are kept."""
    root.mkdir(parents=True, exist_ok=True)
    # Before Python 3.11.4 there was no filter; what is unpacked is ours.
    safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(kept) as archive:
        archive.extractall(root, **safely)  # type: ignore[arg-type]
    return root


def keys_of(root: Path) -> set[str]:
    """Return every key of a lake but those that say which machine wrote it."""
    lake = root / ".samplemix/lake"
    found = {path.relative_to(lake).as_posix() for path in lake.rglob("*") if path.is_file()}
    return {key for key in found if not key.startswith("machines/")}


def make_again(kept: Path, root: Path) -> Path:
    """Make the kept project from its first day by today's code, with the models that it had."""
    unpack(kept, root)
    shutil.rmtree(root / ".samplemix")
    shutil.rmtree(root / "data")
    write_project(root)
    run_history(root)
    return root


def pack(root: Path, out: Path) -> None:
    """Pack a project with its lake."""
    with tarfile.open(out, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(root.rglob("*")):
            inside = path.relative_to(root)
            if path.is_file() and not set(inside.parts) & {*_LEFT_OUT, "__pycache__"}:
                archive.add(path, str(inside), filter=_anonymous)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        write_project(Path(scratch))
        run_history(Path(scratch))
        pack(Path(scratch), Path(sys.argv[1]))
