"""What looks after a lake does so on S3: verify, diff, repair and gc, with and without copies."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from samplemix_dagster.cli import root as cli
from samplemix_dagster.errors import DamagedError, SampleMixError
from samplemix_dagster.runs.upkeep.garbage import collect_garbage, find_garbage
from samplemix_dagster.runs.upkeep.repair import check_lake, repair
from samplemix_dagster.runs.work.run import run_project
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.storage.s3.bucket import Bucket
from samplemix_dagster.trace.difference.difference import difference
from samplemix_dagster.trace.verify.verifying import verify
from tests import s3_faults
from tests.engine.changes import turn_a_dial
from tests.engine.runs import ledgers, manifest, run, version
from tests.projects import copy_project, finished_project, needs_encoder, open_project
from tests.s3_projects import corpus_bucket, on_s3, upload

pytestmark = needs_encoder

LAKE = ".samplemix/lake"
DAMAGE = {
    "documents": "cut",
    "perplexity": "flipped",
    "topic_fit": "cut",
    "scores": "vanished",
    "ledger": "flipped",
}


@dataclass(frozen=True)
class Both:
    """One project twice, with an old and a new version of ``default``."""

    disk: Path
    s3: Path
    bucket: Bucket
    old: str

    def keys(self, prefix: str = "lake") -> set[str]:
        return {entry.key.removeprefix(f"{prefix}/") for entry in self.bucket.below(f"{prefix}/")}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Its lake on disk, and the same sent to S3. A test leaves the objects as they were."""
    with pytest.MonkeyPatch.context() as patch:
        s3_faults.use_credentials(patch)
        folder = tmp_path_factory.mktemp("both")
        disk = copy_project(finished_project(), folder / "disk")
        old = version(disk)
        turn_a_dial(disk)
        run(disk)
        bucket = corpus_bucket(s3_faults.moto_server())
        yield Both(disk, moved(folder / "s3", disk, bucket, "lake"), bucket, old)


def moved(root: Path, disk: Path, bucket: Bucket, lake: str) -> Path:
    """Send a project's lake to S3; its shards are seen there once, and nothing is computed."""
    upload(bucket, disk / LAKE, lake)
    on_s3(root, bucket, s3_faults.moto_server(), lake, like=disk)
    outcomes = run_project(open_project(root))
    assert {one.asset for one in outcomes} <= {"raw_shards"}
    return root


def copies(root: Path) -> set[str]:
    """Keys of the copies on this machine."""
    folder = open_project(root).lake.root
    files = [path for path in folder.rglob("*") if path.is_file() and path.name[0] != "."]
    return {path.relative_to(folder).as_posix() for path in files}


def forget_copies(root: Path) -> None:
    shutil.rmtree(root / ".samplemix/cache", ignore_errors=True)


def key_of(root: Path, what: str) -> str:
    """The key of a file of ``default``'s version: the ledger, a fit, or a stage of ``news``."""
    found = manifest(root)
    if what == "ledger":
        return f"mixtures/default/{found['version']}/{min(found['ledger'])}"
    if what in found["fits"]:
        return f"fits/{what}/{found['fits'][what]}/topics.safetensors"
    digest = next(shard["digest"] for shard in found["shards"] if shard["source"] == "news")
    return f"{found['features']['news'][what]['folder']}/{digest}.parquet"


def spoil(content: bytes, how: str) -> bytes | None:
    """Return bytes that were cut, or flipped in a first page; None for a file that vanishes."""
    flipped = content[:100] + bytes([content[100] ^ 16]) + content[101:]
    return {"cut": content[: len(content) // 2], "flipped": flipped, "vanished": None}[how]


def damage(both: Both, how: dict[str, str]) -> dict[str, bytes]:
    """Damage files of both lakes, each of which has a good copy; return what they were."""
    lake, contents = open_project(both.s3).lake, {}
    for key, done in how.items():
        contents[key] = (both.disk / LAKE / key).read_bytes()
        assert lake.path(key).read_bytes() == contents[key]
        put(both, key, spoil(contents[key], done))
    return contents


def put(both: Both, key: str, content: bytes | None) -> None:
    """Put bytes into both lakes; no copy is touched."""
    if content is None:
        both.bucket.delete(f"lake/{key}")
        (both.disk / LAKE / key).unlink()
    else:
        both.bucket.put(f"lake/{key}", content)
        (both.disk / LAKE / key).write_bytes(content)


def states(found: dict[str, Any]) -> dict[str, str]:
    return {check["check"]: check["state"] for check in found["checks"]}


# -- verify and diff ------------------------------------------------------------------------------


def test_a_version_is_verified_as_on_disk(both: Both) -> None:
    for wanted in (both.old, version(both.disk)):
        found = verify(open_project(both.s3), "default", wanted, deep=5)
        assert set(states(found).values()) == {"holds"}
        assert found == verify(open_project(both.disk), "default", wanted, deep=5)


@pytest.mark.parametrize(
    "how",
    [{"ledger": "flipped", "scores": "cut"}, {"documents": "vanished"}],
    ids=["changed", "vanished"],
)
def test_what_is_damaged_is_found_as_on_disk_whatever_copies_there_are(
    how: dict[str, str], both: Both
) -> None:
    wanted = version(both.disk)
    contents = damage(both, {key_of(both.disk, what): done for what, done in how.items()})
    known = states(verify(open_project(both.disk), "default", wanted))
    with_copies = states(verify(open_project(both.s3), "default", wanted))
    forget_copies(both.s3)
    without = states(verify(open_project(both.s3), "default", wanted))
    for key, content in contents.items():
        put(both, key, content)
    assert set(known.values()) != {"holds"}
    assert with_copies == without == known


def test_versions_differ_as_on_disk(both: Both) -> None:
    pair = ("default", both.old), ("default", version(both.disk))
    found = difference(open_project(both.s3), *pair)
    assert [cause["causes"] for cause in found["causes"]] == [["dials"]]
    assert found == difference(open_project(both.disk), *pair)


# -- repair ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_copies", [True, False])
def test_damaged_objects_are_found_and_made_again(has_copies: bool, both: Both) -> None:
    there = both.keys()
    contents = damage(both, {key_of(both.disk, what): how for what, how in DAMAGE.items()})
    if not has_copies:
        forget_copies(both.s3)
    here, project = open_project(both.disk), open_project(both.s3)
    assert check_lake(project) == check_lake(here)
    assert sorted(project.lake.damaged) == sorted(here.lake.damaged)
    assert {*contents} - {*here.lake.damaged} == {key_of(both.disk, "scores")}  # it vanished
    run_project(project)
    assert {key: both.bucket.read(f"lake/{key}") for key in contents} == contents
    assert both.keys() == there
    for key, content in contents.items():
        put(both, key, content)
    assert ledgers(both.s3) == ledgers(both.disk)


def test_a_damaged_copy_is_fetched_again_and_its_object_stays(both: Both) -> None:
    project = open_project(both.s3)
    keys = [key_of(both.s3, what) for what in ("documents", "topic_fit", "ledger")]
    before = list(both.bucket.below("lake/"))
    contents = {key: project.lake.path(key).read_bytes() for key in keys}
    for key, content in contents.items():
        project.lake.path(key).write_bytes(content[: len(content) // 2])
        with pytest.raises(DamagedError, match=r"s3://.* is damaged"):
            (project.lake.read_arrays if "fits" in key else project.lake.read_table)(key)
    words = "was damaged on this machine; it is fetched again."
    assert repair(project) == [f"{key} {words}" for key in keys]
    assert {key: project.lake.path(key).read_bytes() for key in keys} == contents
    assert list(both.bucket.below("lake/")) == before
    assert run_project(open_project(both.s3)) == []


# -- gc -------------------------------------------------------------------------------------------


def test_garbage_goes_as_on_disk_and_its_copies_with_it(both: Both, tmp_path: Path) -> None:
    disk = copy_project(both.disk, tmp_path / "disk")
    root = moved(tmp_path / "s3", disk, both.bucket, "lake-to-clean")
    there = on_s3(tmp_path / "there", both.bucket, s3_faults.moto_server(), "lake-to-clean", root)
    before, kept = both.keys("lake-to-clean"), ledgers(root)
    for one in (root, there):
        lake = open_project(one).lake
        lake.paths([key for key in before if both.old in key])

    assert find_garbage(open_project(root), keep=0).keys == []  # too young
    dry = find_garbage(open_project(root), keep=0, grace_seconds=0)
    on_disk = collect_garbage(open_project(disk), keep=0, grace_seconds=0)
    assert both.keys("lake-to-clean") == before
    assert (dry.keys, dry.removed_versions) == (on_disk.keys, [f"default@{both.old}"])
    assert {**dry.to_json(), "copies": None} == {**on_disk.to_json(), "copies": None}
    assert on_disk.to_json()["copies"] == {"files": 0, "bytes": 0}
    gone = {copy.key for copy in dry.copies}
    assert gone
    assert gone == set(dry.keys) & copies(root)

    with open_project(root).claim("run"), pytest.raises(SampleMixError, match="a run is at work"):
        collect_garbage(open_project(root), keep=0, grace_seconds=0)
    done = collect_garbage(open_project(root), keep=0, grace_seconds=0)
    assert done.to_json() == dry.to_json()
    assert both.keys("lake-to-clean") == before - set(dry.keys)
    assert copies(root) <= both.keys("lake-to-clean")
    # What one machine removed is a stale copy on another.
    left = find_garbage(open_project(there), keep=0, grace_seconds=0)
    assert (left.keys, {copy.key for copy in left.copies}) == ([], gone & copies(there))
    collect_garbage(open_project(there), keep=0, grace_seconds=0)
    assert copies(there) <= both.keys("lake-to-clean")
    assert run_project(open_project(root)) == []
    assert ledgers(root) == ledgers(there) == kept
    assert verify(open_project(there), "default", version(there))["holds"]


def test_the_command_says_which_copies_go(both: Both, capsys: pytest.CaptureFixture[str]) -> None:
    config, folder = both.s3 / "samplemix.yaml", open_project(both.s3).lake.root
    names = ("features/scores/1/gone.parquet", "fits/x/1/.model.0123456789ab", "fits/y/young")
    for name in names:
        Lake(folder).write_bytes(name, b"copied")
    for name in names[:2]:
        os.utime(folder / name, (1, 1))
    cli.collect(keep=None, dry_run=True, config=config, json=False)
    assert "2 copies (12 B) on this machine would be removed" in capsys.readouterr().err
    assert (folder / names[0]).exists()
    cli.collect(keep=None, dry_run=False, config=config, json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["num_files"], found["copies"]) == (0, {"files": 2, "bytes": 12})
    assert [(folder / name).exists() for name in names] == [False, False, True]
    (folder / names[2]).unlink()
