"""The order of an export range by range: the same draws, places and files as all at once."""

from pathlib import Path

import numpy as np
import pytest

from samplemix_dagster.core.hashing import id_words
from samplemix_dagster.core.mixture.order import order_keys, order_luck, strata_of
from samplemix_dagster.stages.export import order
from samplemix_dagster.stages.export.order import draws_by_shard, ledger_key, ordered_draws
from samplemix_dagster.storage import ranges
from samplemix_dagster.storage.ranges import Ranges
from tests.engine.changes import repeat_documents
from tests.engine.runs import manifest, run_changed
from tests.projects import needs_encoder, open_project

NAMES = ("shard", "row", "copy", "tokens", "position", "file")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose default mixture draws documents more than once."""
    return run_changed(tmp_path_factory.mktemp("drawn") / "project", repeat_documents).root


def in_order(
    root: Path, files: int = 3, held_out: float = 0.0, **settings: str
) -> dict[str, list[int]]:
    mixture = manifest(root)
    mixture["config"] = {**mixture["config"], **settings}
    with ordered_draws(open_project(root).lake, mixture, files, held_out) as stretches:
        parts = list(stretches)
    return {
        name: np.concatenate([getattr(part, name) for part in parts]).tolist() for name in NAMES
    }


def all_at_once(root: Path) -> list[tuple[int, int, int]]:
    """Shard, row and copy of each draw in order, with every draw in memory."""
    lake, mixture = open_project(root).lake, manifest(root)
    found = []
    for number, shard in enumerate(mixture["shards"]):
        folder = f"features/scores/{mixture['recipe']['scores'][shard['source']]}"
        scores = lake.read_table(f"{folder}/{shard['digest']}.parquet").to_pylist()
        rows = lake.read_table(ledger_key(mixture, shard)).to_pylist()
        found += [
            (number, row["row"], copy, row["copies"], row["doc_id"], row["quality"], one["cluster"])
            for row, one in zip(rows, scores, strict=True)
            for copy in range(row["copies"])
        ]
    shard, row, copy, copies, ids, quality, cluster = (
        list(each) for each in zip(*found, strict=True)
    )
    words = id_words(ids)
    luck = order_luck(words, np.array(copy), np.array(copies), mixture["config"]["seed"])
    strata = strata_of(np.array(cluster), np.array(quality))
    keys = order_keys(strata, luck, words, np.array(copy))
    places = np.lexsort((copy, words[:, 1], words[:, 0], keys))
    return [(shard[place], row[place], copy[place]) for place in places]


@needs_encoder
@pytest.mark.parametrize("size", [1, 7, 1 << 19])
def test_draws_sorted_range_by_range_are_in_the_order_of_all_at_once(
    size: int, drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order, "DRAWS_OF_A_RANGE", size)
    found = in_order(drawn)
    assert list(zip(*(found[name] for name in NAMES[:3]), strict=True)) == all_at_once(drawn)
    assert found["position"] == list(range(len(found["position"])))


@needs_encoder
@pytest.mark.parametrize("held_out", [0.0, 0.1])
def test_how_many_draws_a_range_has_changes_no_file(
    held_out: float, drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = in_order(drawn, 4, held_out)
    monkeypatch.setattr(order, "DRAWS_OF_A_RANGE", 13)
    assert in_order(drawn, 4, held_out) == whole
    assert set(whole["file"]) == {0, 1, 2, 3}


@needs_encoder
def test_shuffled_passes_are_the_same_draws_in_another_order(drawn: Path) -> None:
    alike, shuffled = (in_order(drawn, passes=word) for word in ("alike", "shuffled"))
    rows = [
        list(zip(*(found[name] for name in ("shard", "row", "copy")), strict=True))
        for found in (alike, shuffled)
    ]
    assert sorted(rows[0]) == sorted(rows[1])
    assert rows[0] != rows[1]
    assert alike == in_order(drawn)


@needs_encoder
def test_the_draws_of_each_shard_are_those_of_the_order(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order, "DRAWS_OF_A_RANGE", 11)
    wanted = in_order(drawn)
    rows = sorted(zip(*(wanted[name] for name in NAMES), strict=True))
    found, numbers = [], []
    scratch = tmp_path / "scratch"
    with draws_by_shard(open_project(drawn).lake, manifest(drawn), 3, 0.0, scratch) as shards:
        for number, own in shards:
            numbers.append(number)
            found += list(zip(*(getattr(own, name).tolist() for name in NAMES), strict=True))
    assert sorted(found) == rows
    assert numbers == sorted(set(wanted["shard"]))
    assert not scratch.exists()


@needs_encoder
def test_an_order_that_is_left_half_way_leaves_no_file(drawn: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    lake = open_project(drawn).lake
    with ordered_draws(lake, manifest(drawn), folder=scratch) as stretches:
        assert scratch.exists()
        next(stretches)
    assert not scratch.exists()


@pytest.mark.parametrize("most_open", [1, 3, 32])
def test_what_is_set_aside_comes_back_by_range_in_the_order_it_came(
    most_open: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "_MOST_OPEN", most_open)
    form = np.dtype([("number", "<i8")])
    numbers = np.arange(1000)
    with Ranges(tmp_path, "some", form, 7) as aside:
        for part in np.split(numbers, [300, 301]):
            records = np.empty(part.size, dtype=form)
            records["number"] = part
            aside.add(part * 5 % 7, records)
        found = [aside.read(number)["number"].tolist() for number in range(7)]
        assert [aside.read(number).size for number in range(7)] == [0] * 7
    assert found == [numbers[numbers * 5 % 7 == number].tolist() for number in range(7)]
    assert list(tmp_path.iterdir()) == []
