"""What a change costs, row by row: documents scored, models loaded, files written; nothing else.

The rows are those of the table in docs/architecture.md. Other tests look at what came out; here
it is counted what was done.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from samplemix_dagster.engine.shards.working import loaded
from samplemix_dagster.stages.quality.quality import QUALITY
from tests.engine.changes import (
    add_a_shard,
    count_with_another_tokenizer,
    nothing,
    remove_a_shard,
    rename_a_shard,
    rewrite_one_document,
    settings_changed,
    shorten_embeddings,
    turn_a_dial,
)
from tests.engine.labelled import label_by_source
from tests.engine.runs import Run, run
from tests.projects import (
    copy_project,
    finished_project,
    needs_encoder,
    read_settings,
    reference_folder,
    write_settings,
)

pytestmark = needs_encoder

EVERY = 120
SHARDS = 6
SCORED_ANEW = {"quality": SHARDS, "scores": SHARDS}
DIVERSITY = {"clusters": SHARDS, "diversity": SHARDS, "scores": SHARDS}
ONE_SHARD = {
    "documents": 2,  # rejected rows lie beside
    **dict.fromkeys(
        [
            "grams",
            "words",
            "perplexity",
            "tokens",
            "embeddings",
            "quality",
            "clusters",
            "ownership",
            "topics",
            "diversity",
            "scores",
        ],
        1,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one change may cost."""

    scored: dict[str, int] = field(default_factory=dict)
    """Documents that a stage computed from their text."""
    models: tuple[int, int] = (0, 0)
    """References and encoders that were loaded."""
    tables: dict[str, int] = field(default_factory=dict)
    """Files written, by stage."""
    fits: frozenset[str] = frozenset()
    """Fits that were made."""
    mixtures: frozenset[str] = frozenset()
    """Mixtures that got a new version."""


BOTH = frozenset({"default", "flat"})
SET = frozenset({"corpus", "beta"})


def reorder_sources(root: Path) -> None:
    settings = read_settings(root)
    sources = settings["corpus"]["sources"]
    settings["corpus"]["sources"] = dict(reversed(sources.items()))
    write_settings(root, settings)


def comment(root: Path) -> None:
    path = root / "samplemix.yaml"
    path.write_text("# a remark\n" + path.read_text(encoding="utf-8"), encoding="utf-8")


def name_other_labels(root: Path) -> None:
    label_by_source(root)
    settings_changed("mixtures", "flat", "shares_by", to="origin")(root)
    run(root)
    path = root / "origins.csv"
    path.write_text(path.read_text().replace(",web,web\n", ",web,net\n", 3))


def move_a_shard(root: Path) -> None:
    path = root / "data/letters/part-0.parquet"
    folder = root / "data/letters/moved.parquet"
    path.rename(folder)


def change_reference(root: Path) -> None:
    settings_changed("references", "main", "model", to=str(reference_folder("second")))(root)


spell_the_lake_otherwise = settings_changed("lake", to="./.samplemix/../.samplemix/lake/")

ROWS: dict[str, tuple[Callable[[Path], None], Cost]] = {
    "nothing": (nothing, Cost()),
    "sources reordered": (reorder_sources, Cost()),
    "a comment": (comment, Cost()),
    "the lake spelled otherwise": (spell_the_lake_otherwise, Cost()),
    "a shard renamed": (rename_a_shard, Cost()),
    "a shard moved": (move_a_shard, Cost()),
    "a shard added": (
        add_a_shard,
        Cost(
            scored={"raw_shards": 7, "perplexity": 7, "token_counts": 7, "embeddings": 7},
            models=(1, 1),
            tables=ONE_SHARD,
            fits=SET,
            mixtures=BOTH,
        ),
    ),
    "a document rewritten": (
        rewrite_one_document,
        Cost(
            scored={"raw_shards": 20, "perplexity": 1, "token_counts": 1, "embeddings": 1},
            models=(1, 1),
            tables=ONE_SHARD,
            fits=SET,
            mixtures=BOTH,
        ),
    ),
    "a shard removed": (remove_a_shard, Cost(fits=SET, mixtures=BOTH)),
    "another reference": (
        change_reference,
        Cost(
            scored={"perplexity": EVERY, "token_counts": EVERY},
            models=(1, 0),
            tables={"perplexity": SHARDS, "tokens": SHARDS, **SCORED_ANEW},
            fits=frozenset({"reference-main", "calibration", "beta"}),
            mixtures=BOTH,
        ),
    ),
    "another encoder": (
        shorten_embeddings,
        Cost(
            scored={"embeddings": EVERY},
            models=(0, 1),
            tables={"embeddings": SHARDS, **DIVERSITY},
            fits=frozenset({"cluster_fit", "diversity_calibration", "beta"}),
            mixtures=BOTH,
        ),
    ),
    "a dial": (turn_a_dial, Cost(mixtures=frozenset({"default"}))),
    "other labels, which a mixture holds shares by": (
        name_other_labels,
        Cost(tables={"label-origin": SHARDS}, mixtures=frozenset({"flat"})),
    ),
    "another tokenizer": (
        count_with_another_tokenizer,
        Cost(
            scored={"token_counts": EVERY},
            tables={"tokens": SHARDS, "scores": SHARDS},
            fits=frozenset({"beta"}),
            mixtures=BOTH,
        ),
    ),
}


def counted(root: Path, change: Callable[[Path], None]) -> tuple[Run, Cost]:
    """Change a project, run it, and count what was done."""
    change(root)
    for cache in (loaded.reference, loaded.encoder):
        cache.cache_clear()
    before = set(files(root))
    done = run(root)
    new = sorted(set(files(root)) - before)
    tables: dict[str, int] = {}
    fits, mixtures = set(), set()
    for key in new:
        head, name, *_ = key.split("/")
        if head in {"documents", "features"}:
            stage = name if head == "features" else head
            tables[stage] = tables.get(stage, 0) + 1
        elif head == "fits":
            fits.add(name)
        elif head == "mixtures":
            mixtures.add(name)
    scored: dict[str, int] = {}
    for asset, _, count in done.done:
        if count and asset in {"raw_shards", "perplexity", "token_counts", "embeddings"}:
            scored[asset] = scored.get(asset, 0) + count
    num_loaded = (loaded.reference.cache_info().misses, loaded.encoder.cache_info().misses)
    return done, Cost(
        scored=scored,
        models=num_loaded,
        tables=tables,
        fits=frozenset(fits),
        mixtures=frozenset(mixtures),
    )


def files(root: Path) -> Iterator[str]:
    """Every immutable file of a lake, by its key."""
    lake = root / ".samplemix/lake"
    for path in lake.rglob("*"):
        if path.is_file() and path.name != "current.json":
            yield path.relative_to(lake).as_posix()


@pytest.mark.parametrize("row", ROWS)
def test_a_change_costs_what_it_touches(row: str, tmp_path: Path) -> None:
    root = copy_project(finished_project(), tmp_path / "project")
    change, expected = ROWS[row]
    done, found = counted(root, change)
    assert found == expected
    assert done.planned == done.done
    assert run(root).done == []


def test_a_stage_with_new_code_costs_itself_and_what_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copy_project(finished_project(), tmp_path / "project")
    monkeypatch.setattr(QUALITY, "version", 99)
    _, found = counted(root, nothing)
    assert found == Cost(tables=SCORED_ANEW, fits=frozenset({"beta"}), mixtures=BOTH)


def test_another_reference_and_back_costs_one_way_only(tmp_path: Path) -> None:
    root = copy_project(finished_project(), tmp_path / "project")
    before = read_settings(root)
    counted(root, change_reference)
    _, found = counted(root, lambda project: write_settings(project, before))
    assert found == Cost()
