"""Exports as their trainers' own readers find them; ``make test-formats`` installs those.

The readers stand in an environment of their own, whose Python the variable ``SAMPLEMIX_READERS``
names. What an export must hold is known from exports as plain arrays and as Parquet, whose readers
are NumPy and Arrow, and from the ledger. ``SAMPLEMIX_FORMATS_PAGE`` names the page whose table is
written anew when every test has passed.
"""

import functools
import itertools
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from samplemix_dagster.export_formats.format import FilePlan, Vocabulary
from samplemix_dagster.export_formats.table import FORMATS
from samplemix_dagster.export_formats.wanted import Wanted
from samplemix_dagster.stages.export.exporting import export_version
from samplemix_dagster.trace.exports.exported import Exported, as_seen, draws_of, open_export
from samplemix_dagster.trace.exports.megatron_steps import trace_cached_step
from samplemix_dagster.trace.papers.croissant import croissant
from samplemix_dagster.trace.papers.facts import facts_of
from tests.engine.changes import repeat_documents, settings_changed
from tests.engine.runs import copies, manifest, run_changed, version
from tests.projects import needs_encoder, open_project
from tests.readers.formats_table import Row, refresh
from tests.readers.read import READERS, SEQUENCE

PYTHON = os.environ.get("SAMPLEMIX_READERS", "")
PAGE = os.environ.get("SAMPLEMIX_FORMATS_PAGE", "")
pytestmark = [
    needs_encoder,
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="`make test-formats` installs the trainers' readers"),
]
FILES = 2
WITHOUT_PACKAGE = ["tokens", "torchtitan", "nanogpt", "jsonl.indexed"]
"""Layouts whose trainer is no package that could be installed."""
WHAT = {
    "megatron": "documents in order, id for id; samples of `GPTDataset`",
    "olmo": "documents in order, id for id; windows of each file",
    "nanotron": "windows of each file, places in documents",
    "modalities": "documents in order, id for id; blocks of each file",
    "litdata": "all ids but the last block",
    "mds": "all ids, EOS after the last; spans",
    "nanochat": "all texts, those that validate last",
    "croissant": "all texts",
}
"""What is compared of a layout, where it is not each document in order and no more."""


@pytest.fixture(scope="module", autouse=True)
def measured(request: pytest.FixtureRequest) -> Iterator[dict[str, Row]]:
    """What was measured, by layout; the page's table is written of it."""
    rows: dict[str, Row] = {}
    yield rows
    if PAGE and not request.session.testsfailed:
        names = list(FORMATS)
        refresh(
            Path(PAGE), sorted(rows.values(), key=lambda row: names.index(row.layout.split()[0]))
        )


def row_of(done: dict[str, Any], folder: Path, layout: str, seconds: float) -> Row:
    """A layout as it was written and read back by its own reader."""
    exported = open_export(open_project(project()), str(folder))
    began = time.perf_counter()
    documents = sum(1 for _ in exported.wanted.form.read_back(folder, plan_of(exported)))
    read_in = time.perf_counter() - began
    paths = (path for path in folder.iterdir() if path.name != "manifest.json")
    return Row(
        layout=layout,
        reader="this package's own",
        documents=documents,
        tokens=done["num_tokens"] + done.get("num_added_tokens", 0),
        num_bytes=sum(path.stat().st_size for path in paths),
        written_in=seconds,
        read_in=read_in,
        what=WHAT.get(layout, "documents in order" + ", id for id" * exported.wanted.has_places),
    )


def plan_of(exported: Exported) -> FilePlan:
    """The plan by which an export was written, as far as its reader asks for it."""
    wanted, facts = exported.wanted, exported.manifest
    vocabulary = None
    if wanted.has_places:
        keys = {"size": facts["vocabulary_size"], "tokenizer": facts["tokenizer"]}
        vocabulary = Vocabulary(**keys, eos=wanted.options["eos"], eos_id=facts["eos_id"])
    return FilePlan(num_files=wanted.num_files, options=wanted.options, vocabulary=vocabulary)


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
def read(tmp_path_factory: pytest.TempPathFactory, measured: dict[str, Row]) -> Any:
    """What a trainer's reader finds in an export: the export's manifest and the answer."""

    @functools.cache
    def of(form: str, **options: str) -> tuple[dict[str, Any], dict[str, Any]]:
        folder, work = tmp_path_factory.mktemp(form) / "x", tmp_path_factory.mktemp("work")
        began = time.perf_counter()
        done = export(form, folder, **options)
        layout = " ".join([form, *(f"{key}: {value}" for key, value in options.items())])
        own = row_of(done, folder, layout, time.perf_counter() - began)
        answer = found_by_reader(form, folder, work)
        measured[layout] = replace(own, reader=answer["reader"], read_in=answer["seconds"])
        exported = open_export(open_project(project()), str(folder))
        seen = as_seen(exported, SEQUENCE)[0]
        return done, {**answer, "seen": seen, "exported": exported, "work": work}

    return of


@pytest.mark.parametrize("form", ["megatron", "olmo", "modalities"])
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


@pytest.mark.parametrize("bos", [{}, {"bos": "start"}])
def test_bos_is_read_before_each_document(bos: dict[str, str], read: Any, parts: Any) -> None:
    done, found = read("megatron", **bos)
    front = [done["bos_id"]] if bos else []
    assert found["documents"] == [[*front, *ids] for ids in itertools.chain(*parts)]


def test_blocks_of_modalities_are_all_ids_of_a_file_but_for_less_than_one(
    read: Any, parts: Any
) -> None:
    _, found = read("modalities")
    for ids, documents in zip(found["parts"], parts, strict=True):
        flat = list(itertools.chain(*documents))
        assert ids == flat[: (len(flat) - 1) // SEQUENCE * SEQUENCE + 1]


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


@pytest.mark.parametrize("form", ["olmo", "nanotron", "modalities", "litdata", "mds"])
def test_what_is_foreseen_is_what_the_reader_hands_out(form: str, read: Any) -> None:
    _, found = read(form)
    seen = found["seen"]
    assert sum(map(len, found["parts"])) == seen["kept"] + seen["padded"]


PLAIN = ["jsonl", "jsonl.gz", "jsonl.zst", "parquet"]


@pytest.mark.parametrize("form", [*PLAIN, "huggingface", "webdataset", "arrayrecord"])
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
    assert {*READERS} == (FORMATS.keys() - {*WITHOUT_PACKAGE}) | {"croissant"}


@pytest.mark.parametrize("form", WITHOUT_PACKAGE)
def test_layouts_without_a_package_are_read_back_by_our_own_reader(
    form: str, measured: dict[str, Row], texts: list[str], tmp_path: Path
) -> None:
    began = time.perf_counter()
    done = export(form, tmp_path / "x")
    measured[form] = row_of(done, tmp_path / "x", form, time.perf_counter() - began)
    assert measured[form].documents == len(texts)


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
