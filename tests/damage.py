"""Damage one file of a finished project, look whether it is noticed, repair, compare every byte.

Each trial damages one file in one way, asks who notices, repairs as `samplemix run --check-lake`
does, and compares the lake with what it was. Then the lake is put back.
"""

import contextlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from samplemix_dagster.errors import SampleMixError
from samplemix_dagster.runs.plan.cost.estimates import estimated
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.standing.status import project_status
from samplemix_dagster.runs.upkeep.repair import check_lake, repair
from samplemix_dagster.runs.work.run import run_project
from samplemix_dagster.storage.ask.query import query
from samplemix_dagster.trace.verify.verifying import verify
from tests.projects import open_project

LAKE = ".samplemix/lake"
_WHO_AND_WHEN = {
    "project",  # the configuration, also of what this version does not depend on
    *("made_at", "made_by", "run_id", "samplemix_version", "packages", "git", "digest", "seal"),
}
"""Keys of a manifest that another drawing may have otherwise."""
OUTCOMES = ("noticed_by_read", "noticed_by_check", "noticed_by_verify", "harmless")


@dataclass(kw_only=True)
class Trial:
    """What came of one damage."""

    file: str
    damage: str
    outcome: str = "harmless"
    foreign: str = ""
    """An exception that is none of this project's, in words."""
    wrong: list[str] = field(default_factory=list)
    """Files that are otherwise after the repair."""
    lost: str = ""
    """What the repair said to be lost."""


# -- kinds of damage -------------------------------------------------------------------------------


def flipped(content: bytes, place: int) -> bytes:
    """Return bytes with one bit flipped."""
    place %= max(1, len(content))
    bit = 1 << (place % 8)
    return content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]


def damages(path: Path, root: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield every kind of damage of a file by name, with what does it."""
    content = path.read_bytes()
    for name, place in _places(len(content)).items():
        yield f"flip {name}", lambda place=place: path.write_bytes(flipped(content, place))
    yield "truncated", lambda: path.write_bytes(content[: len(content) * 2 // 3])
    yield "emptied", lambda: path.write_bytes(b"")
    yield "longer", lambda: path.write_bytes(content + b"\0")
    yield "removed", path.unlink
    for other in _siblings(path, root):
        yield f"swapped with {other.name}", lambda other=other: _swap(path, other)
    if path.suffix == ".json":
        for text in ("[]", "{}", "null", '"x"', '{"version": "f"}'):
            yield f"is {text}", lambda text=text: path.write_text(text)
    if path.suffix == ".parquet":
        yield "another schema", lambda: pq.write_table(pa.table({"doc_id": ["a"]}), path)


def _places(size: int) -> dict[str, int]:
    places = {"header": 1, "first page": 40, "quarter": size // 4, "middle": size // 2}
    return places | {"footer": max(0, size - 300), "footer end": size - 12, "last": size - 1}


def _siblings(path: Path, root: Path) -> list[Path]:
    """Return files of the same kind: in the same folder, and in the folders beside it."""
    near = [p for p in sorted(path.parent.glob(f"*{path.suffix}")) if p != path]
    far = [
        p
        for p in sorted(path.parent.parent.glob(f"*/{path.name}"))
        if p != path and path.parent != root
    ]
    return [*near[:1], *far[:1]]


def _swap(path: Path, other: Path) -> None:
    mine, theirs = path.read_bytes(), other.read_bytes()
    path.write_bytes(theirs)
    other.write_bytes(mine)


# -- a trial ---------------------------------------------------------------------------------------


class Campaign:
    """Trials on a copy of a finished project."""

    def __init__(self, whole: Path, copy: Path) -> None:
        """Take the project, which nobody changes, and a folder for the copy."""
        self.whole, self.copy = whole, copy
        shutil.copytree(whole, copy)
        project = open_project(whole)
        self.versions = [
            (name, version)
            for name in sorted(project.lake.names("mixtures"))
            for version in sorted(project.lake.names(f"mixtures/{name}") - {"current.json"})
        ]
        self.contents = _contents(whole)

    def files(self) -> list[str]:
        """Return every file of the lake, and the JSON beside it."""
        return sorted(
            key
            for key in self.contents
            if key.startswith(LAKE) or (key.startswith(".samplemix/") and key.endswith(".json"))
            if not key.startswith(".samplemix/dagster/") and not key.startswith(".samplemix/dbt/")
        )

    def trials(self, files: Iterable[str], wanted: Callable[[int], bool]) -> Iterator[Trial]:
        """Yield the trials of some files whose number is wanted."""
        number = 0
        for file in files:
            path = self.copy / file
            for name, damage in damages(path, self.copy / LAKE):
                number += 1
                if wanted(number):
                    yield self._trial(Trial(file=file, damage=name), damage)

    def _trial(self, trial: Trial, damage: Callable[[], None]) -> Trial:
        damage()
        is_changed = bool(self._differences())
        try:
            trial.outcome = self._who_notices() if is_changed else "harmless"
            self._repair(trial)
        except SampleMixError as error:
            trial.wrong.append(f"not repaired: {error}")
        except Exception as error:  # noqa: BLE001  what a trial is to find
            trial.foreign = f"{type(error).__name__}: {error}"
        trial.wrong += [] if trial.lost else self._wrong()
        self._put_back()
        return trial

    def _who_notices(self) -> str:
        """Return who is the first to notice; whoever only reads comes first."""
        try:
            project = open_project(self.copy)
            plan = Planner(project).plan()
            estimated(project, plan)
            project_status(project)
            query(project.lake, "select count(*) from mixtures")
            if not plan.is_empty:
                return "noticed_by_read"
        except SampleMixError:
            return "noticed_by_read"
        project = open_project(self.copy)
        check_lake(project)
        if project.lake.damaged:
            return "noticed_by_check"
        for name, version in self.versions:
            try:
                if not verify(project, name, version)["holds"]:
                    return "noticed_by_verify"
            except SampleMixError:
                return "noticed_by_verify"
        return "harmless"

    def _repair(self, trial: Trial) -> None:
        """Do what `samplemix run --check-lake` does."""
        project = open_project(self.copy)
        check_lake(project)
        sentences = repair(project)
        run_project(project, on_repair=sentences.append)
        trial.lost = "; ".join(s for s in sentences if "is lost" in s)

    def _differences(self) -> list[str]:
        now = _contents(self.copy)
        every = sorted({*now, *self.contents})
        return [key for key in every if now.get(key) != self.contents.get(key)]

    def _wrong(self) -> list[str]:
        """Return files of the lake that are otherwise, but for who made them and when."""
        found = []
        for key in self._differences():
            if not key.startswith(LAKE) or key.startswith(f"{LAKE}/reports/"):
                continue
            path = self.copy / key
            if (
                not path.exists()
                or key not in self.contents
                or not key.endswith(".json")
                or _plain(path.read_bytes()) != _plain(self.contents[key])
            ):
                found.append(key)
        return found

    def _put_back(self) -> None:
        for key in self._differences():
            path = self.copy / key
            if key in self.contents:
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.whole / key, path)
            else:
                path.unlink()


def _contents(root: Path) -> dict[str, bytes]:
    """Return the bytes of every file below a project's home and its lake."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in (root / ".samplemix").rglob("*")
        if path.is_file() and "dagster/" not in path.as_posix() and path.suffix != ".lock"
    }


def _plain(content: bytes) -> Any:
    """Return what a manifest says, without who made it and when."""
    with contextlib.suppress(ValueError):
        value = json.loads(content)
        if isinstance(value, dict):
            return {key: inner for key, inner in value.items() if key not in _WHO_AND_WHEN}
        return value
    return content


def summed(trials: Iterable[Trial]) -> dict[str, Any]:
    """Return how many trials came to what."""
    every = list(trials)
    counts = Counter(trial.outcome for trial in every)
    return {
        "files": len({trial.file for trial in every}),
        "damages": len(every),
        **{outcome: counts[outcome] for outcome in OUTCOMES},
        "lost_and_said": sum(bool(trial.lost) for trial in every),
        "wrong": sum(bool(trial.wrong) for trial in every),
        "foreign": sum(bool(trial.foreign) for trial in every),
    }
