"""Looks at a corpus: what moves is never taken, what is quiet is taken once, nothing is re-read."""

import os
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.watching import comparing, looking
from samplemix_dagster.engine.watching.comparing import compare
from samplemix_dagster.engine.watching.findings import GONE, File, Finding, Sighting
from samplemix_dagster.engine.watching.looking import look_at, look_at_all, wait_until_settled
from samplemix_dagster.engine.watching.settling import two_looks
from samplemix_dagster.engine.watching.telling import digest_of, in_words
from samplemix_dagster.errors import InputError
from samplemix_dagster.runs.work.run import run_project
from samplemix_dagster.storage.corpus.manifest import Shard, read_manifest
from tests.engine.changes import add_a_shard, remove_a_shard, rewrite_one_document
from tests.projects import (
    needs_encoder,
    open_project,
    read_settings,
    shard_rows,
    write_settings,
    write_shard,
)

INTERVAL = 60.0


class Disk:
    """A folder in memory: each write gives a new stamp, and a touch keeps the content."""

    def __init__(self) -> None:
        self.clock = 0
        self.files: dict[str, tuple[File, str]] = {}
        self.recorded: dict[str, Shard] = {}
        self.sightings: dict[str, Sighting] = {}
        self.now = 0.0

    def write(self, path: str, content: str) -> None:
        self.clock += 1
        self.files[path] = ((len(content), str(self.clock)), content)

    def touch(self, path: str) -> None:
        if path in self.files:
            self.write(path, self.files[path][1])

    def remove(self, path: str) -> None:
        self.files.pop(path, None)

    def look(self) -> Finding:
        self.now += INTERVAL
        found = compare(
            "web",
            {path: file for path, (file, _) in self.files.items()},
            self.recorded,
            self.sightings,
            now=self.now,
            is_settled=two_looks(INTERVAL, self.now),
            is_same=lambda path, before: self.files[path][1] == before.digest,
        )
        self.sightings = dict(found.sightings)
        return found

    def record(self, found: Finding) -> None:
        """Record what was taken, as a run does."""
        for path in found.taken:
            if path in found.removed:
                del self.recorded[path]
            else:
                (size, stamp), content = self.files[path]
                self.recorded[path] = Shard(
                    path=path, digest=content, size=size, mtime_ns=int(stamp)
                )


PATHS = st.sampled_from("abc")
EVENTS = st.one_of(
    st.tuples(st.just("write"), PATHS, st.sampled_from(["x", "y", "longer"])),
    st.tuples(st.just("touch"), PATHS),
    st.tuples(st.just("remove"), PATHS),
    st.tuples(st.just("look")),
)


@given(st.lists(EVENTS, max_size=40))
def test_a_moving_file_is_never_taken_and_a_quiet_one_is_taken_once(
    events: list[tuple[str, ...]],
) -> None:
    disk = Disk()
    previous: dict[str, File] = {}
    for name, *words in [*events, ("look",), ("look",)]:
        if name != "look":
            getattr(disk, name)(*words)
            continue
        found = disk.look()
        there = {path: file for path, (file, _) in disk.files.items()}
        for path in found.taken:
            # The look before saw the file as it is.
            assert previous.get(path, GONE) == there.get(path, GONE), path
        previous = there
        disk.record(found)
    assert {path: shard.digest for path, shard in disk.recorded.items()} == {
        path: content for path, (_, content) in disk.files.items()
    }
    assert disk.look().taken == ()


@given(st.lists(EVENTS, max_size=40))
def test_every_file_that_differs_is_in_one_list(events: list[tuple[str, ...]]) -> None:
    disk = Disk()
    for name, *words in events:
        if name != "look":
            getattr(disk, name)(*words)
        else:
            disk.record(disk.look())
    found = disk.look()
    lists = [*found.taken, *found.arriving, *found.moving, *found.touched]
    assert sorted(lists) == sorted(found.sightings)


def test_two_looks_too_close_together_are_one() -> None:
    settled = two_looks(INTERVAL, 100.0)
    assert not settled("a", (1, "1"), Sighting(file=(1, "1"), since=99.0))
    assert settled("a", (1, "1"), Sighting(file=(1, "1"), since=40.0))


def test_a_clock_that_went_back_makes_files_wait_not_pass() -> None:
    disk = Disk()
    disk.write("a", "x")
    disk.look()
    disk.now -= 10 * INTERVAL
    assert disk.look().arriving == ("a",)


def test_words_say_what_came_changed_went_and_what_moves() -> None:
    seen = {name: Sighting(file=(1, "1"), since=0.0) for name in "abcdef"}
    findings = [
        Finding(partition="web:00", new=("a", "b"), sightings=seen, num_files=9),
        Finding(partition="web:01", new=("c",), arriving=("d", "e"), sightings=seen, num_files=9),
        Finding(partition="book", changed=("f",), sightings=seen, num_files=9),
    ]
    assert in_words(findings) == (
        "3 new shards in web; 1 changed shard in book; 2 files are still being written"
    )
    assert in_words([Finding(partition="web", num_files=50_000)]) == (
        "Nothing new, changed or removed among 50,000 files."
    )


def test_the_digest_of_a_finding_is_that_of_its_files_not_of_its_time() -> None:
    def finding(stamp: str, since: float) -> list[Finding]:
        seen = {"a": Sighting(file=(1, stamp), since=since)}
        return [Finding(partition="web", new=("a",), sightings=seen)]

    assert digest_of(finding("1", 0.0)) == digest_of(finding("1", 60.0))
    assert digest_of(finding("1", 0.0)) != digest_of(finding("2", 0.0))


# -- on a real project ----------------------------------------------------------------------------

pytestmark = [needs_encoder]


def looked_at_twice(project: Project) -> dict[str, Finding]:
    look_at_all(project, now=1_000.0)
    return {found.partition: found for found in look_at_all(project, now=1_060.0)}


def test_a_finished_project_has_nothing_new(root: Path) -> None:
    found = looked_at_twice(open_project(root))
    assert not any(one.taken or one.held or one.touched for one in found.values())


def test_new_changed_and_removed_shards_are_found(root: Path) -> None:
    add_a_shard(root)
    rewrite_one_document(root)
    remove_a_shard(root)
    found = looked_at_twice(open_project(root))
    assert found["news"].new == ("data/news/part-2.jsonl",)
    assert found["news"].changed == ("data/news/part-0.jsonl",)
    assert found["web"].removed == ("data/web/part-1.jsonl.gz",)
    assert found["letters"].taken == ()


def test_a_touched_file_is_no_change_and_is_read_once(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(root / "data/news/part-0.jsonl")
    project = open_project(root)
    read: list[Path] = []
    digest = comparing.digest_file
    monkeypatch.setattr(comparing, "digest_file", lambda p: (read.append(p), digest(p))[1])
    assert looked_at_twice(project)["news"].touched == ("data/news/part-0.jsonl",)
    look_at_all(project, now=1_120.0)
    assert read == [root / "data/news/part-0.jsonl"]


def test_no_file_is_read_by_a_look_but_a_touched_one(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_a_shard(root)
    remove_a_shard(root)

    def refuse(path: Path) -> str:
        raise AssertionError(path)

    monkeypatch.setattr(comparing, "digest_file", refuse)
    assert looked_at_twice(open_project(root))["news"].new


def test_an_automatic_scan_leaves_files_as_recorded_until_they_are_settled(root: Path) -> None:
    project = open_project(root)
    before = read_manifest(project.lake, "news")
    add_a_shard(root)
    project.take_only_settled(True)
    look_at(project, "news", now=1.0)
    rewrite_one_document(root)
    (root / "data/news/part-2.jsonl").write_bytes(b"")  # the writer is still at it
    assert project.scan("news") == before
    project.take_only_settled(False)
    assert len(project.scan("news").shards) == 3


def test_an_automatic_scan_takes_what_two_looks_saw_the_same(root: Path) -> None:
    project = open_project(root)
    add_a_shard(root)
    look_at(project, "news", now=1.0)
    project.take_only_settled(True)
    assert len(project.scan("news").shards) == 3


def use_markers(root: Path) -> Project:
    settings = read_settings(root)
    settings["sensor"] = {"settled": "marker"}
    write_settings(root, settings)
    return open_project(root)


def test_with_markers_a_file_is_taken_at_its_marker_and_the_marker_is_no_shard(root: Path) -> None:
    project = use_markers(root)
    add_a_shard(root)
    path = root / "data/news/part-2.jsonl"
    assert looked_at_twice(project)["news"].arriving == ("data/news/part-2.jsonl",)
    path.with_name("part-2.jsonl.done").touch()
    found = look_at(project, "news")
    assert found.new == ("data/news/part-2.jsonl",)
    assert len(project.scan("news").shards) == 3
    run_project(project)
    assert look_at(project, "news").taken == ()


def test_a_marker_older_than_its_file_does_not_count(root: Path) -> None:
    project = use_markers(root)
    marker = root / "data/news/part-0.jsonl.done"
    marker.touch()
    rewrite_one_document(root)
    os.utime(marker, ns=(0, 0))
    assert look_at(project, "news").moving == ("data/news/part-0.jsonl",)
    marker.touch()
    assert look_at(project, "news").changed == ("data/news/part-0.jsonl",)


def test_one_marker_settles_its_folder(root: Path) -> None:
    project = use_markers(root)
    add_a_shard(root)
    (root / "data/news/_SUCCESS").touch()
    assert look_at(project, "news").new == ("data/news/part-2.jsonl",)


def test_a_source_that_is_gone_is_a_problem_not_a_removal(root: Path) -> None:
    for path in (root / "data/news").iterdir():
        path.unlink()
    found = looked_at_twice(open_project(root))
    assert found["news"].removed == ()
    assert "nothing matches data/news/*" in in_words(found.values())


def test_waiting_ends_when_files_are_settled(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = open_project(root)
    clock = [1_000.0]
    monkeypatch.setattr(looking, "clock", lambda: clock[0])
    add_a_shard(root)
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        clock[0] += seconds

    found = wait_until_settled(project, sleep)
    assert sum(len(one.new) for one in found) == 1
    assert waited == [60]


def test_a_corpus_file_that_never_settles_stops_an_automatic_run(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = open_project(root)
    clock = [1_000.0]
    monkeypatch.setattr(looking, "clock", lambda: clock[0])

    def sleep(seconds: float) -> None:
        clock[0] += seconds
        write_shard(root, "news", 0, shard_rows("news", 0, count=3 + int(clock[0]) % 7))

    rewrite_one_document(root)
    with pytest.raises(InputError, match=r"kept changing .*part-0\.jsonl"):
        wait_until_settled(project, sleep)
