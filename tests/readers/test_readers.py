"""Exports as their trainers' own readers find them; ``make test-formats`` installs those.

The readers stand in an environment of their own, whose Python the variable ``SAMPLEMIX_READERS``
names. What an export must hold is known from exports as plain arrays and as Parquet, whose readers
are NumPy and Arrow, and from the ledger.
"""

import functools
import itertools
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from samplemix_dagster.export_formats.wanted import Wanted
from samplemix_dagster.stages.export.exporting import export_version
from samplemix_dagster.trace.exported import Exported, as_seen, draws_of, open_export
from samplemix_dagster.trace.megatron_steps import trace_cached_step
from samplemix_dagster.trace.papers.croissant import croissant
from samplemix_dagster.trace.papers.facts import facts_of
from tests.engine.changes import repeat_documents, settings_changed
from tests.engine.runs import copies, manifest, run_changed, version
from tests.projects import needs_encoder, open_project
from tests.readers.read import READERS, SEQUENCE

PYTHON = os.environ.get("SAMPLEMIX_READERS", "")
pytestmark = [
    needs_encoder,
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="`make test-formats` installs the trainers' readers"),
]
FILES = 2


@functools.cache
def project() -> Path:
    """A project whose default mixture draws documents more than once, with stored ids."""
    stores_ids = settings_changed("export", to={"format": "megatron", "array": "corpus"})
    return run_changed(Path(tempfile.mkdtemp()) / "project", repeat_documents, stores_ids).root


def export(form: str, folder: Path, **options: str) -> dict[str, Any]:
    """Export the default mixture of the project."""
    root = project()
    wanted = Wanted.of(form, FILES, {"sequence": str(SEQUENCE), **options})
    return export_version(open_project(root), "default", version(root), wanted, folder=folder)


def found_by_reader(form: str, folder: Path, work: Path) -> dict[str, Any]:
    """What a reader finds in a folder, in the environment of readers."""
    script = Path(__file__).with_name("read.py")
    words = [PYTHON, str(script), form, str(folder), str(work)]
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(
        words, capture_output=True, text=True, env={**alone, "HF_HUB_OFFLINE": "1"}, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    answer = json.loads((work / "found.json").read_text())
    print(f"{form}: {answer['reader']}")
    return dict(answer)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[list[list[int]]]:
    """The ids of each document, by file."""
    folder = tmp_path_factory.mktemp("tokens") / "x"
    export("tokens", folder)
    found = []
    for number in range(FILES):
        ids = np.memmap(folder / f"part-{number:05d}.bin", np.uint16, mode="r").tolist()
        ends = np.load(folder / f"part-{number:05d}.ends.npy").tolist()
        found.append([ids[start:end] for start, end in itertools.pairwise([0, *ends])])
    return found


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The text of each draw."""
    folder = tmp_path_factory.mktemp("texts") / "x"
    export("parquet", folder)
    tables = [pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]
    return [text for table in tables for text in table.column("text").to_pylist()]


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a trainer's reader finds in an export: the export's manifest and the answer."""

    @functools.cache
    def of(form: str, **options: str) -> tuple[dict[str, Any], dict[str, Any]]:
        folder, work = tmp_path_factory.mktemp(form) / "x", tmp_path_factory.mktemp("work")
        done = export(form, folder, **options)
        answer = found_by_reader(form, folder, work)
        exported = open_export(open_project(project()), str(folder))
        seen = as_seen(exported, SEQUENCE)[0]
        return done, {**answer, "seen": seen, "exported": exported, "work": work}

    return of


@pytest.mark.parametrize("form", ["megatron", "olmo"])
def test_every_document_is_read_as_it_was_drawn(form: str, read: Any, parts: Any) -> None:
    _, found = read(form)
    assert found["documents"] == list(itertools.chain(*parts))


@pytest.mark.parametrize("options", [{"materialise": "true"}, {"array": "corpus"}])
def test_other_pairs_hold_the_same_documents(
    options: dict[str, str], read: Any, parts: Any
) -> None:
    _, found = read("megatron", **options)
    assert found["documents"] == list(itertools.chain(*parts))


def test_eos_stands_once_for_each_draw_and_the_rest_is_the_ledgers(read: Any) -> None:
    done, found = read("megatron")
    flat = list(itertools.chain(*found["documents"]))
    root = project()
    assert flat.count(done["eos_id"]) == done["num_draws"] == sum(copies(root).values())
    assert len(flat) - done["num_draws"] == manifest(root)["report"]["realised_tokens"]


def test_samples_of_megatron_are_traced_to_their_documents(read: Any, parts: Any) -> None:
    _, found = read("megatron")
    first = {(one["doc_id"], one["copy"]): ids for one, ids in _draws(found["exported"], parts)}
    for number, sample in enumerate(found["samples"]):
        spans = trace_cached_step(found["exported"], found["work"], number, 1, "part-00000.bin")
        ids = [first[one["doc_id"], one["copy"]][one["begin"] : one["end"]] for one in spans]
        assert list(itertools.chain(*ids)) == sample


def _draws(exported: Exported, parts: list[list[list[int]]]) -> Iterator[tuple[Any, list[int]]]:
    return zip(draws_of(exported).to_pylist(), itertools.chain(*parts), strict=True)


def test_one_pass_of_megatron_has_the_samples_that_are_foreseen(read: Any, parts: Any) -> None:
    _, found = read("megatron")
    assert len(found["samples"]) == (sum(map(len, parts[0])) - 1) // SEQUENCE
    assert len(found["samples"]) <= found["seen"]["sequences"] <= 2 * len(found["samples"]) + 2


@pytest.mark.parametrize(("form", "window"), [("nanotron", SEQUENCE + 1), ("olmo", SEQUENCE)])
def test_windows_of_each_file_are_its_ids_but_for_less_than_one(
    form: str, window: int, read: Any, parts: Any
) -> None:
    _, found = read(form)
    for ids, documents in zip(found["parts"], parts, strict=True):
        flat = list(itertools.chain(*documents))
        assert ids == flat[: len(flat) // window * window]


def test_nanotron_counts_places_from_the_document_or_from_the_window(read: Any, parts: Any) -> None:
    _, found = read("nanotron")
    for positions, documents in zip(found["positions"], parts, strict=True):
        places = enumerate(place for ids in documents for place in range(len(ids)))
        wanted = [min(place, at % (SEQUENCE + 1)) for at, place in places]
        assert positions == wanted[: len(positions)]


def test_blocks_of_litdata_are_all_ids_but_for_less_than_one_block(read: Any, parts: Any) -> None:
    _, found = read("litdata")
    flat = [one for ids in itertools.chain(*parts) for one in ids]
    assert found["parts"][0] == flat[: len(flat) // (SEQUENCE + 1) * (SEQUENCE + 1)]


def test_rows_of_mds_are_all_ids_and_eos_after_them(read: Any, parts: Any) -> None:
    done, found = read("mds")
    flat = [one for ids in itertools.chain(*parts) for one in ids]
    rows = found["parts"][0]
    assert rows[: len(flat)] == flat
    assert set(rows[len(flat) :]) <= {done["eos_id"]}
    assert sum(length for *_, length in found["spans"]) == len(flat)


@pytest.mark.parametrize("form", ["olmo", "nanotron", "litdata", "mds"])
def test_what_is_foreseen_is_what_the_reader_hands_out(form: str, read: Any) -> None:
    _, found = read(form)
    seen = found["seen"]
    assert sum(map(len, found["parts"])) == seen["kept"] + seen["padded"]


@pytest.mark.parametrize("form", ["huggingface", "webdataset"])
def test_every_text_is_read_as_it_was_drawn(form: str, read: Any, texts: list[str]) -> None:
    _, found = read(form)
    assert found["texts"] == texts


def test_nanochat_reads_the_same_texts_with_those_that_validate_last(
    read: Any, texts: list[str]
) -> None:
    done, found = read("nanochat")
    assert sorted(found["texts"]) == sorted(texts)
    assert done["files"][-1]["num_draws"] > 0


def test_every_reader_is_asked() -> None:
    asked = {"megatron", "olmo", "nanotron", "litdata", "mds", "huggingface", "webdataset"}
    assert {*READERS} == asked | {"nanochat", "croissant"}


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_croissant_gives_the_text_of_every_draw(
    form: str, texts: list[str], tmp_path: Path
) -> None:
    export(form, tmp_path / "x")
    opened = open_project(project())
    facts = facts_of(opened, "default", version(project()))
    described = croissant(facts, open_export(opened, str(tmp_path / "x")))
    (tmp_path / "x" / "croissant.json").write_text(json.dumps(described), encoding="utf-8")
    found = found_by_reader("croissant", tmp_path / "x", tmp_path)
    assert sorted(found["texts"]) == sorted(texts)
