"""Whatever happens to a file of the lake is noticed, named and made again, to the same bytes."""

from pathlib import Path

import pytest

from samplemix_dagster.runs.upkeep.repair import check_lake, repair
from samplemix_dagster.runs.work.run import run_project
from samplemix_dagster.trace.verify.verifying import verify
from tests.damage import Campaign, Trial
from tests.engine.changes import turn_a_dial
from tests.engine.runs import ledgers, run, version
from tests.projects import copy_project, finished_project, needs_encoder, open_project

pytestmark = needs_encoder
LAKE = ".samplemix/lake"


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    folder = tmp_path_factory.mktemp("damage")
    whole = copy_project(finished_project(), folder / "whole")
    turn_a_dial(whole)
    run(whole)
    return Campaign(whole, folder / "copy")


def bad(trials: list[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.wrong or trial.foreign or trial.lost]


def test_damage_of_a_sample_of_files_is_noticed_and_repaired(campaign: Campaign) -> None:
    found = list(campaign.trials(campaign.files(), lambda number: number % 97 == 5))
    assert len(found) > 15
    assert bad(found) == []


@pytest.mark.slow
def test_every_damage_of_every_file_is_noticed_and_repaired(campaign: Campaign) -> None:
    assert bad(list(campaign.trials(campaign.files(), lambda _: True))) == []


@pytest.fixture
def old(tmp_path: Path) -> tuple[Path, str]:
    """A project, and a version of its mixture that is not current any more."""
    root = copy_project(finished_project(), tmp_path / "project")
    before = version(root)
    turn_a_dial(root)
    run(root)
    return root, before


def checked(root: Path) -> list[str]:
    """What a check and the run after it say."""
    project = open_project(root)
    check_lake(project)
    sentences = repair(project)
    run_project(project, on_repair=sentences.append)
    return sentences


def test_a_ledger_of_an_older_version_is_drawn_again_to_the_same_bytes(
    old: tuple[Path, str],
) -> None:
    root, before = old
    [ledger, *_] = sorted((root / LAKE / f"mixtures/default/{before}/ledger").iterdir())
    content = ledger.read_bytes()
    ledger.write_bytes(content[:200])
    [sentence] = checked(root)
    assert "drawn again from what is stored" in sentence
    assert ledger.read_bytes() == content


def test_a_version_that_nothing_can_tell_of_is_said_to_be_lost_and_the_rest_goes_on(
    old: tuple[Path, str],
) -> None:
    root, before = old
    folder = root / LAKE / f"mixtures/default/{before}"
    for file in ("manifest.json", "manifest.copy.json"):
        (folder / file).write_text("{}")
    now = ledgers(root)
    assert "The version is lost" in checked(root)[-1]
    assert (folder / "manifest.damaged").is_file()
    assert ledgers(root) == now
    assert checked(root) == []


def test_a_shard_with_other_bytes_of_the_same_size_and_time_is_found_by_verify(
    root: Path,
) -> None:
    import os

    path = root / "data/news/part-0.jsonl"
    status = path.stat()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"The", b"Thy", 1))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    found = verify(open_project(root), "default", version(root))
    [shards] = [check for check in found["checks"] if check["check"] == "shards"]
    assert shards["state"] == "broken"
    assert "data/news/part-0.jsonl has other bytes" in shards["words"]


def test_the_note_of_a_frozen_fit_is_written_again_as_it_was(root: Path) -> None:
    note = root / LAKE / "fits/topic_fit/current.json"
    content = note.read_bytes()
    note.unlink()
    run(root)
    assert note.read_bytes() == content


def test_a_folder_without_its_marker_is_filled_again(root: Path) -> None:
    [manifest, *_] = sorted((root / LAKE).glob("exports/default/*/*/manifest.json"))
    manifest.unlink()
    run(root)
    assert manifest.is_file()
    assert checked(root) == []
