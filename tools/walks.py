"""Count the files that a value passes through on its way, in a real run of a small project.

Three walks: a document from its shard to the ledger and the export, a mixture's name from the
command line to the export, a dial from ``samplemix.yaml`` to the weight. A file is on a walk where
one of its functions has the value in hand: in a variable, or one level inside one (an item of a
list, a key of a mapping, a field of an object, a cell of a table). Beside it stands how many files
ran at all. What is made from the value (a loss, a weight) is another value and is not followed.

``python tools/walks.py`` prints the walks; it takes a minute and needs the encoder of the tests.
"""

import shutil
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "samplemix_dagster"
sys.path.insert(0, str(ROOT))

_ITEMS = 200
"""Items of a container that are looked at; a project's shards and tables are smaller."""
_FUNCTIONS = 3
_MARK = "zymurgy quixotry"
_NAME = "walked-mixture"
_DIAL = 1.2345678

Follow = Callable[[object], bool]


@dataclass
class Walk:
    """What was seen while something ran: the calls of (file, function) with the value in hand."""

    held: Counter[tuple[str, str]] = field(default_factory=Counter)
    ran: set[str] = field(default_factory=set)

    def files(self) -> Counter[str]:
        """Calls with the value in hand, by file."""
        found: Counter[str] = Counter()
        for (name, _), count in self.held.items():
            found[name] += count
        return found

    def functions(self, name: str) -> list[str]:
        """The functions of a file that had the value in hand, most calls first."""
        return [function for (file, function), _ in self.held.most_common() if file == name]


@contextmanager
def traced(is_it: Follow) -> Iterator[Walk]:
    """Yield a walk that is filled in while the block runs, in this thread and those it starts."""
    walk = Walk()

    def look(frame: FrameType, event: str, _: object) -> None:
        path = frame.f_code.co_filename
        if event != "return" or not path.startswith(str(PACKAGE)):
            return
        name = Path(path).relative_to(ROOT).as_posix()
        walk.ran.add(name)
        if any(is_in_hand(value, is_it) for value in frame.f_locals.values()):
            walk.held[name, frame.f_code.co_qualname] += 1

    threading.setprofile(look)
    sys.setprofile(look)
    try:
        yield walk
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def is_in_hand(value: object, is_it: Follow) -> bool:
    """Whether a variable is the value that is followed, or has it one level inside."""
    return is_it(value) or any(is_it(part) for part in _parts(value))


def _parts(value: object) -> Iterable[object]:
    import pyarrow as pa

    if isinstance(value, Mapping):
        return [*list(value)[:_ITEMS], *list(value.values())[:_ITEMS]]
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)[:_ITEMS]
    if isinstance(value, pa.Table | pa.RecordBatch):
        cells: list[object] = []
        for column in value.slice(0, _ITEMS).columns:
            cells += column.to_pylist()
        return cells
    if type(value).__module__.startswith("samplemix_dagster"):
        return _fields(value)
    return ()


def _fields(value: object) -> list[object]:
    names = [*getattr(value, "__dict__", {}), *getattr(type(value), "__slots__", ())]
    found = []
    for name in names:
        with suppress(AttributeError):
            found.append(getattr(value, name))
    return found


def _document(digest: str) -> Follow:
    """Follow a document: its text while there is one, then its id as hexadecimal or as bytes."""
    raw = bytes.fromhex(digest)

    def is_it(value: object) -> bool:
        if isinstance(value, str):
            return _MARK in value or value == digest
        return isinstance(value, bytes) and (value == raw or _MARK.encode() in value)

    return is_it


def _same(wanted: object) -> Follow:
    return lambda value: type(value) is type(wanted) and value == wanted


def _project(folder: Path) -> Path:
    """Write a project with a document, a mixture's name and a dial that are nowhere else."""
    from tests import projects

    root = projects.make_project(folder, projects.reference_folder())
    rows = projects.shard_rows("news", 0)
    rows[7]["text"] = _text()
    projects.write_shard(root, "news", 0, rows)
    settings = projects.read_settings(root)
    mixture: dict[str, Any] = {"budget_tokens": 8000, "balance": {"quality": _DIAL}}
    settings["mixtures"] = {_NAME: mixture}
    projects.write_settings(root, settings)
    return root


def _text() -> str:
    from tests.projects import prose

    return f"{prose('walk')} {_MARK} {prose('walked')}"


def walks(root: Path) -> Iterator[tuple[str, Walk]]:
    """Yield each walk by its name."""
    from typer.testing import CliRunner

    from samplemix_dagster.cli import app
    from samplemix_dagster.core.hashing import doc_id
    from samplemix_dagster.runs.work.run import run_project
    from tests.projects import open_project

    with traced(_document(doc_id(_text()))) as document:
        run_project(open_project(root))
    yield "a document, from its shard to the ledger and the export", document
    config, to = root / "samplemix.yaml", root / "exported"
    words = ["export", _NAME, "--to", str(to), "--config", str(config)]
    with traced(_same(_NAME)) as name:
        done = CliRunner().invoke(app, words, catch_exceptions=False)
    if done.exit_code:
        raise SystemExit(done.output)
    yield "a mixture's name, from the command line to the export", name
    shutil.rmtree(root / ".samplemix" / "lake" / "mixtures")
    with traced(_same(_DIAL)) as dial:
        run_project(open_project(root))
    yield "a dial, from samplemix.yaml to the weight", dial


def told(name: str, walk: Walk) -> list[str]:
    """Return a walk in lines: calls with the value in hand, file, functions."""
    files = walk.files()
    lines = [f"{name}: {len(files)} files have it in hand, {len(walk.ran)} ran"]
    for file, count in files.most_common():
        functions = walk.functions(file)
        more = f" and {len(functions) - _FUNCTIONS} more" if len(functions) > _FUNCTIONS else ""
        lines.append(f"{count:>6}  {file}  {', '.join(functions[:_FUNCTIONS])}{more}")
    return [*lines, ""]


def main() -> int:
    """Print the walks."""
    with tempfile.TemporaryDirectory(prefix="samplemix-walks-") as folder:
        for name, walk in walks(_project(Path(folder) / "project")):
            sys.stdout.write("\n".join(told(name, walk)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
