"""The ledger is the same bytes for every worker count, every order and every name of a file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from samplemix_dagster.engine.executors.processes import stop_workers
from tests.engine.changes import (
    add_a_shard,
    remove_a_shard,
    rename_a_shard,
    rewrite_one_document,
    settings_changed,
    turn_a_dial,
)
from tests.engine.runs import ledgers, run, run_changed
from tests.projects import (
    copy_project,
    make_project,
    needs_encoder,
    read_settings,
    reference_folder,
    write_settings,
)

pytestmark = needs_encoder


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """The finished project's corpus and settings, before any run."""
    return make_project(tmp_path / "fresh", reference_folder())


@pytest.fixture
def many_workers() -> Iterator[None]:
    """Workers that live no longer than the test."""
    yield
    stop_workers()


@pytest.mark.usefixtures("many_workers")
@pytest.mark.parametrize("workers", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_any_number_of_workers_gives_the_same_ledger(
    workers: int, fresh: Path, finished: Path
) -> None:
    settings_changed("compute", "workers", to=workers)(fresh)
    run(fresh)
    assert ledgers(fresh) == ledgers(finished)


def test_the_order_of_the_sources_does_not_matter(fresh: Path, finished: Path) -> None:
    settings = read_settings(fresh)
    sources = settings["corpus"]["sources"]
    settings["corpus"]["sources"] = {name: sources[name] for name in ("letters", "web", "news")}
    write_settings(fresh, settings)
    run(fresh)
    assert ledgers(fresh) == ledgers(finished)


def test_the_names_of_the_shards_do_not_matter(fresh: Path, finished: Path) -> None:
    for number, path in enumerate(sorted((fresh / "data").rglob("part-*"))):
        ending = path.name.split(".", 1)[1]
        path.rename(path.with_name(f"{9 - number}-other.{ending}"))
    run(fresh)
    assert ledgers(fresh) == ledgers(finished)


def test_parts_of_a_source_share_out_the_work_and_change_nothing_else(
    root: Path, finished: Path
) -> None:
    settings_changed("corpus", "sources", "news", "parts", to=3)(root)
    split = run(root)
    assert split.assets == {"raw_shards"}
    assert sum(count for _, _, count in split.done) == 0
    assert ledgers(root) == ledgers(finished)


def test_refitting_always_makes_incremental_and_from_scratch_one(
    tmp_path: Path, fresh: Path
) -> None:
    always = settings_changed("diversity", "refit", to="always")
    first, then = (rewrite_one_document, add_a_shard), (remove_a_shard, rename_a_shard)
    steps = run_changed(tmp_path / "steps", always, *first).root
    for change in then:
        change(steps)
    run(steps)
    for change in (always, *first, *then):
        change(fresh)
    run(fresh)
    assert ledgers(steps) == ledgers(fresh)


def test_the_seed_alone_decides_luck_not_the_name_of_the_mixture(root: Path) -> None:
    settings = read_settings(root)
    settings["mixtures"]["another-name"] = dict(settings["mixtures"]["flat"])
    write_settings(root, settings)
    run(root)
    found = ledgers(root)
    assert found["another-name"] == found["flat"]


def test_what_is_kept_in_memory_does_not_matter(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from samplemix_dagster.stages.mixture.drawing import draw

    other = copy_project(root, tmp_path / "other")
    for project in (root, other):
        turn_a_dial(project)
    run(root)
    monkeypatch.setattr(draw, "_MOST_KEPT_DOCUMENTS", 30)
    run(other)
    assert ledgers(other) == ledgers(root)
