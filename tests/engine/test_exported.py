"""Looking back at exports: the document at a place and in a step, and what a trainer takes."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samplemix_dagster.errors import ConfigError, InputError
from samplemix_dagster.export_formats.ids import mds
from samplemix_dagster.export_formats.table import FORMATS
from samplemix_dagster.export_formats.wanted import Wanted
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.show.explained import explanation_lines
from samplemix_dagster.stages.export.exporting import export_version
from samplemix_dagster.trace.exports.exported import (
    Exported,
    as_seen,
    budget_in_steps,
    draws_of,
    open_export,
    trace_place,
    trace_step,
)
from samplemix_dagster.trace.exports.megatron_steps import trace_cached_step
from tests.conftest import LACKING_FORMATS
from tests.engine.changes import repeat_documents
from tests.engine.runs import manifest, run_changed, version
from tests.projects import (
    copy_project,
    finished_project,
    needs_encoder,
    open_project,
    read_settings,
    write_settings,
)

pytestmark = needs_encoder
SEQUENCE = 64
FIXED = ["tokens", "olmo", "torchtitan", "nanogpt", "modalities", "litdata", "mds"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose default mixture draws documents more than once."""
    return run_changed(tmp_path_factory.mktemp("drawn") / "project", repeat_documents).root


@pytest.fixture(scope="module")
def exports(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exported]:
    """The default mixture in every format, in two files. Nobody changes them."""
    root = tmp_path_factory.mktemp("exports")
    project = open_project(drawn)
    forms = FORMATS.keys() - LACKING_FORMATS
    for form in forms:
        wanted = Wanted.of(form, 2, {"sequence": str(SEQUENCE)})
        export_version(project, "default", version(drawn), wanted, folder=root / form)
    return {form: open_export(project, str(root / form)) for form in forms}


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_knows_its_draws_in_their_order(
    form: str, exports: dict[str, Exported]
) -> None:
    first, other = (draws_of(exports[one]) for one in ("parquet", form))
    held = FORMATS[form].held_out_share(exports[form].wanted.options) > 0
    one, two = (
        [(row["doc_id"], row["copy"]) for row in table.to_pylist()] for table in (first, other)
    )
    assert sorted(one) == sorted(two)
    assert (one == two) != held


@pytest.mark.parametrize("form", FORMATS)
def test_the_draw_at_a_place_is_the_one_that_lies_there(
    form: str, exports: dict[str, Exported]
) -> None:
    row = draws_of(exports[form]).slice(7, 1).to_pylist()[0]
    last = row["offset"] + (row["num_ids"] - 1 if exports[form].wanted.has_places else 0)
    for offset in (row["offset"], last):
        found = trace_place(exports[form], row["file"], offset)
        assert row["doc_id"] in {one["doc_id"] for one in found}
        assert len({one["doc_id"] for one in found}) == 1


def test_a_text_that_several_copies_point_to_is_all_of_them(exports: dict[str, Exported]) -> None:
    exported = exports["megatron"]
    draws = draws_of(exported).to_pylist()
    often = Counter((row["doc_id"], row["file"], row["offset"]) for row in draws)
    [((doc_id, file, offset), count)] = often.most_common(1)
    assert count > 1
    assert [one["doc_id"] for one in trace_place(exported, file, offset)] == [doc_id] * count


def test_a_document_that_goes_on_in_the_next_chunk_is_found_there(
    exports: dict[str, Exported],
) -> None:
    exported = exports["litdata"]
    draws = draws_of(exported).to_pylist()
    last = [row for row in draws if row["file"] == "chunk-0-0.bin"][-1]
    begins = next(row["offset"] for row in draws if row["file"] == "chunk-0-1.bin")
    assert begins > 0
    [found] = trace_place(exported, "chunk-0-1.bin", begins - 1)
    assert found["doc_id"] == last["doc_id"]


@pytest.mark.parametrize("form", FIXED)
def test_the_spans_of_all_steps_are_what_a_trainer_keeps(
    form: str, exports: dict[str, Exported]
) -> None:
    exported = exports[form]
    [seen] = as_seen(exported, SEQUENCE)
    reading = FORMATS[form].readings[0]
    spans = [
        span
        for step in range(-(-seen["sequences"] // 3))
        for span in trace_step(exported, step, 3, SEQUENCE)
    ]
    twice = (seen["sequences"] - 1) * (reading.more - reading.step_more)
    by_file = twice - (len(exported.files) - 1) * (reading.by_file and twice > 0)
    assert sum(one["end"] - one["begin"] for one in spans) == seen["kept"] + by_file
    assert {one["sequence"] for one in spans} == set(range(seen["sequences"]))


def test_a_step_holds_the_ids_of_its_sequences(exports: dict[str, Exported]) -> None:
    exported = exports["torchtitan"]
    flat = [
        one
        for name in exported.files
        for one in np.memmap(exported.folder / name, np.uint32, mode="r").tolist()
    ]
    places = {
        (row["doc_id"], row["copy"]): (row["file"], row["offset"])
        for row in draws_of(exported).to_pylist()
    }
    ids: list[int] = []
    for span in trace_step(exported, 2, 2, SEQUENCE):
        file, offset = places[span["doc_id"], span["copy"]]
        mapped = np.memmap(exported.folder / file, np.uint32, mode="r")
        ids += mapped[offset + span["begin"] : offset + span["end"]].tolist()
    assert ids == flat[4 * SEQUENCE : 6 * SEQUENCE]


def test_a_step_of_mds_is_what_its_rows_say(exports: dict[str, Exported]) -> None:
    exported = exports["mds"]
    rows = list(mds._read_rows(exported.folder))
    for number, (*_, spans) in enumerate(rows):
        found = trace_step(exported, number, 1, SEQUENCE)
        assert [(one["doc_id"], one["begin"]) for one in found] == [
            (one.doc_id, one.begin) for one in spans
        ]


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_seen_adds_up_and_shares_sum_to_one(
    form: str, exports: dict[str, Exported], drawn: Path
) -> None:
    for row in as_seen(exports[form], SEQUENCE, wanted_sequences=10**6):
        assert row["kept"] + row["cropped"] + row["dropped"] == row["ids"]
        assert row["repeated"] == (10**6 - row["sequences"]) * SEQUENCE
        for when in ("before", "after"):
            assert sum(row["shares"][when].values()) == pytest.approx(1.0)


def test_seen_in_whole_sequences_is_the_share_of_the_ledger(
    exports: dict[str, Exported], drawn: Path
) -> None:
    report = manifest(drawn)["report"]["sources"]
    [row] = as_seen(exports["mds"], SEQUENCE)
    for source, share in row["shares"]["after"].items():
        # EOS is counted here, and not there.
        assert share == pytest.approx(report[source]["share_after"], abs=0.01)


def test_an_export_is_found_by_its_mixture_too(drawn: Path) -> None:
    exported = open_export(open_project(drawn), "default")
    assert exported.manifest["version"] == version(drawn)
    assert draws_of(exported).num_rows == exported.manifest["num_draws"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("megatron", 0, 1), "the trainers of megatron shuffle"),
        (("parquet", 0, 1), "cut by the trainer's own tokenizer"),
        (("olmo", 10**6, 2), "there is no step 1,000,000"),
    ],
)
def test_a_step_that_cannot_be_said_is_an_error(
    words: tuple[Any, ...], says: str, exports: dict[str, Exported]
) -> None:
    form, step, batch = words
    with pytest.raises(ConfigError, match=says):
        trace_step(exports[form], step, batch, SEQUENCE)


def test_rows_that_were_written_for_a_sequence_are_of_no_other(
    exports: dict[str, Exported],
) -> None:
    assert as_seen(exports["mds"])[0]["sequence"] == SEQUENCE
    assert as_seen(exports["olmo"])[0]["sequence"] == 2048
    with pytest.raises(ConfigError, match=r"mds .* was written for sequences of 64, not 32"):
        trace_step(exports["mds"], 0, 1, 32)


# -- Megatron's own order --------------------------------------------------------------------------


def cached(folder: Path, documents: list[int], samples: list[list[int]], order: list[int]) -> Path:
    """Indices as Megatron caches them."""
    folder.mkdir(exist_ok=True)
    np.save(folder / "ab-GPTDataset-train-document_index.npy", np.array(documents, np.int32))
    np.save(folder / "ab-GPTDataset-train-sample_index.npy", np.array(samples, np.int32))
    np.save(folder / "ab-GPTDataset-train-shuffle_index.npy", np.array(order, np.uint32))
    return folder


def test_a_step_of_megatron_is_what_its_cached_indices_say(
    exports: dict[str, Exported], tmp_path: Path
) -> None:
    exported = exports["megatron"]
    rows = [row for row in draws_of(exported).to_pylist() if row["file"] == "part-00001.bin"]
    # The first sample ends in the middle of the second document; the other goes on from there.
    cache = cached(tmp_path / "c", [5, 2, 7], [[0, 0], [1, 4], [2, 3]], [1, 0])
    found = trace_cached_step(exported, cache, 0, 2, "part-00001.bin")
    assert [(one["sequence"], one["doc_id"], one["begin"], one["end"]) for one in found] == [
        (0, rows[2]["doc_id"], 4, rows[2]["num_ids"]),
        (0, rows[7]["doc_id"], 0, 4),
        (1, rows[5]["doc_id"], 0, rows[5]["num_ids"]),
        (1, rows[2]["doc_id"], 0, 5),
    ]


@pytest.mark.parametrize(
    ("form", "documents", "step", "file", "says"),
    [
        ("olmo", [0], 0, None, "--cache is of Megatron"),
        ("megatron", [0], 0, None, "name the pair, too: part-00000.bin, part-00001.bin"),
        ("megatron", [0], 0, "x", "no file 'x' of draws"),
        ("megatron", [10**6], 0, "part-00000.bin", "of a dataset of more documents"),
        ("megatron", [0], 1, "part-00000.bin", "there is no step 1: 1 samples"),
    ],
)
def test_indices_of_something_else_are_an_error(
    form: str,
    documents: list[int],
    step: int,
    file: str | None,
    says: str,
    exports: dict[str, Exported],
    tmp_path: Path,
) -> None:
    cache = cached(tmp_path / "c", documents, [[0, 0], [0, 4]], [0])
    with pytest.raises(ConfigError, match=says):
        trace_cached_step(exports[form], cache, step, 1, file)


def test_a_folder_of_no_indices_is_an_error(exports: dict[str, Exported], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds 0 files \*-document_index.npy"):
        trace_cached_step(exports["megatron"], tmp_path, 0, 1, "part-00000.bin")


def test_a_place_that_is_not_there_is_an_error(exports: dict[str, Exported]) -> None:
    with pytest.raises(ConfigError, match="no file 'x' of draws; there are part-00000"):
        trace_place(exports["olmo"], "x", 0)
    with pytest.raises(ConfigError, match="has no document at id 100,000,000"):
        trace_place(exports["olmo"], "part-00000.npy", 10**8)
    with pytest.raises(ConfigError, match="has no document at row 100"):
        trace_place(exports["jsonl"], "part-00001.jsonl", 10**5)


def test_a_folder_without_an_export_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no export"):
        open_export(open_project(finished_project()), str(tmp_path))


def test_a_place_is_told_with_the_licence_that_stands_beside_the_text() -> None:
    place = {"source": "web", "shard": "a.jsonl", "row": 3, "id": None, "num_bytes": None}
    for metadata, expected in (
        ('{"license": "CC0-1.0", "url": "x"}', ", licence CC0-1.0"),
        ('{"licence": "MIT"}', ", licence MIT"),
        ('{"license": null}', ""),
        (None, ""),
    ):
        found = {"doc_id": "0", "occurrences": [{**place, "metadata": metadata}], "text": None}
        lines = explanation_lines({**found, "scores": None, "mixtures": []})
        assert lines[1] == f"  stands in web: a.jsonl row 3{expected}"


def test_a_budget_in_steps_draws_nothing_anew_and_is_what_a_trainer_is_asked_about(
    tmp_path: Path,
) -> None:
    root = copy_project(finished_project(), tmp_path / "project")
    settings = read_settings(root)
    settings["mixtures"]["default"] = {"budget": {"steps": 25, "batch": 5, "sequence": SEQUENCE}}
    write_settings(root, settings)
    project = open_project(root)
    assert Planner(project).plan().tasks == ()
    found = budget_in_steps(project, open_export(project, "default"))
    assert found is not None
    assert found.tokens == 8000
    assert budget_in_steps(project, open_export(project, "flat")) is None
