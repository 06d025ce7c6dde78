"""Formats of exports: the same draws in each, ids that are those of the texts, one more added."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.errors import CheckFailedError, InputError
from samplemix_dagster.export_formats.format import FilePlan, Format, ReadDraw, Writer
from samplemix_dagster.export_formats.table import FORMATS
from samplemix_dagster.export_formats.texts import lines
from samplemix_dagster.export_formats.wanted import Wanted, is_export_file, is_export_folder
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.upkeep.repair import check_lake, repair
from samplemix_dagster.stages.export import filling
from samplemix_dagster.stages.export.exporting import export_version
from samplemix_dagster.storage.lake.keys import is_folder_of_ours, is_ours
from samplemix_dagster.storage.models.load import end_token_id, load_tokenizer
from samplemix_dagster.trace.exports.exported import as_seen, open_export
from tests.engine.changes import rewrite_one_document, settings_changed
from tests.engine.runs import manifest, rows, run, version
from tests.projects import copy_project, needs_encoder, open_project, prose, write_shard

pytestmark = needs_encoder


def export(root: Path, folder: Path, form: str, files: int = 2, eos: str = "end") -> dict[str, Any]:
    """Export the default mixture's version; return the export's manifest."""
    wanted = Wanted.of(form, files, {"eos": eos})
    return export_version(open_project(root), "default", version(root), wanted, folder=folder)


def documents(folder: Path, files: int = 2) -> list[list[int]]:
    """Return the ids of each document, as a trainer maps them, in order."""
    found = []
    for number in range(files):
        part = folder / f"part-{number:05d}"
        ends = np.load(f"{part}.ends.npy")
        ids = np.memmap(f"{part}.bin", np.uint16, mode="r")
        found += [ids[a:b].tolist() for a, b in itertools.pairwise([0, *ends.tolist()])]
    return found


def texts(root: Path, folder: Path) -> list[dict[str, Any]]:
    """Return the draws of the same version as texts, in order."""
    export(root, folder, "parquet", 1)
    return list(pq.read_table(folder / "part-00000.parquet").to_pylist())


@pytest.fixture(scope="module")
def tokens(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export as ids in two files. Nobody changes it."""
    folder = tmp_path_factory.mktemp("tokens") / "x"
    export(finished, folder, "tokens")
    return folder


# -- every format ----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_has_the_draws_tokens_and_files_of_the_first(
    form: str, finished: Path, tmp_path: Path
) -> None:
    first = export(finished, tmp_path / "first", next(iter(FORMATS)), 3)
    other = export(finished, tmp_path / "other", form, 3)
    counts = ("num_draws", "num_tokens")
    assert [other[key] for key in counts] == [first[key] for key in counts]
    assert other["num_tokens"] == manifest(finished)["report"]["realised_tokens"]
    is_even = FORMATS[form].held_out_share(Wanted.of(form, 3, {}).options) == 0.0
    files = [[one[key] for key in counts] for one in other["files"]]
    assert (files == [[one[key] for key in counts] for one in first["files"]]) == is_even


@pytest.mark.parametrize("form", FORMATS)
def test_every_file_of_an_export_in_the_lake_is_ours_and_a_flipped_bit_is_found_and_mended(
    form: str, root: Path
) -> None:
    settings_changed("export", to={"format": form, "files": 2})(root)
    run(root)
    assert [task.step.asset for task in Planner(open_project(root)).plan().tasks] == []
    lake = root / ".samplemix/lake"
    wanted = Wanted.of(form, 2, {})
    folder = lake / "exports/default" / version(root) / wanted.folder
    files = sorted(path for path in folder.iterdir() if path.name != "manifest.json")
    assert {path.name for path in files} == wanted.file_names()
    assert is_folder_of_ours(folder.relative_to(lake).as_posix())
    for path in files:
        key = path.relative_to(lake).as_posix()
        assert is_ours(key)
        before = path.read_bytes()
        path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        project = open_project(root)
        check_lake(project)
        assert list(project.lake.damaged) == [key]
        repair(project)
        run(root)
        assert path.read_bytes() == before


def test_a_reader_that_finds_another_draw_fails_the_export(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Swapped(lines.JsonLines):
        def read_back(self, folder: Path, plan: FilePlan) -> Iterator[ReadDraw]:
            one, two, *rest = super().read_back(folder, plan)
            yield from [two, one, *rest]

    monkeypatch.setitem(FORMATS, "jsonl", Swapped())
    with pytest.raises(CheckFailedError, match="is not the document"):
        export(finished, tmp_path / "x", "jsonl")
    assert not (tmp_path / "x").exists()


def test_a_reader_that_loses_a_draw_fails_the_export(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Short(lines.JsonLines):
        def read_back(self, folder: Path, plan: FilePlan) -> Iterator[ReadDraw]:
            yield from list(super().read_back(folder, plan))[:-1]

    monkeypatch.setitem(FORMATS, "jsonl", Short())
    with pytest.raises(CheckFailedError, match="another number of draws"):
        export(finished, tmp_path / "x", "jsonl")


def test_documents_that_validate_stand_in_no_file_that_trains(
    finished: Path, tmp_path: Path
) -> None:
    wanted = Wanted.of("nanochat", 3, {"held_out": "10"})
    export_version(open_project(finished), "default", version(finished), wanted, folder=tmp_path)
    *training, validation = (
        set(pq.read_table(path).column("doc_id").to_pylist())
        for path in sorted(tmp_path.glob("shard_*.parquet"))
    )
    assert validation
    assert [found & validation for found in training] == [set(), set()]


# -- ids -------------------------------------------------------------------------------------------


def test_the_ids_are_those_of_the_texts_in_the_same_order(
    tokens: Path, finished: Path, tmp_path: Path
) -> None:
    recipes = Recipes(open_project(finished))
    tokenizer = load_tokenizer(recipes.tokenizer_folder)
    eos = end_token_id(recipes.tokenizer_folder, tokenizer)
    assert eos is not None
    rows = texts(finished, tmp_path / "x")
    encoded = tokenizer.encode_batch([row["text"] for row in rows], add_special_tokens=False)
    assert documents(tokens) == [[*found.ids, eos] for found in encoded]


@pytest.mark.parametrize(("eos", "added"), [("end", 1), ("start", 1), ("none", 0)])
def test_eos_stands_where_it_was_asked_for_and_is_counted_apart(
    eos: str, added: int, finished: Path, tmp_path: Path
) -> None:
    done = export(finished, tmp_path / "x", "tokens", eos=eos)
    found = documents(tmp_path / "x")
    where = {"end": -1, "start": 0, "none": slice(0, 0)}[eos]
    assert all(ids[where] == (done["eos_id"] if added else []) for ids in found)
    assert done["num_added_tokens"] == added * len(found)
    assert sum(map(len, found)) == done["num_tokens"] + done["num_added_tokens"]
    assert done["num_tokens"] == manifest(finished)["report"]["realised_tokens"]


def test_the_map_says_where_each_draw_lies(tokens: Path, finished: Path, tmp_path: Path) -> None:
    places = pq.read_table(tokens / "draws.parquet").to_pylist()
    rows = texts(finished, tmp_path / "x")
    same = ("doc_id", "copy", "source", "id", "num_tokens")
    assert [[p[k] for k in same] for p in places] == [[r[k] for k in same] for r in rows]
    for place, ids in zip(places, documents(tokens), strict=True):
        mapped = np.memmap(tokens / place["file"], np.uint16, mode="r")
        assert mapped[place["offset"] :][: place["num_ids"]].tolist() == ids


def test_words_that_look_like_a_special_token_stay_text(root: Path, tmp_path: Path) -> None:
    recipes = Recipes(open_project(root))
    tokenizer = load_tokenizer(recipes.tokenizer_folder)
    eos = end_token_id(recipes.tokenizer_folder, tokenizer)
    word = tokenizer.id_to_token(eos)
    rows = [
        {"id": f"odd-{n}", "text": f"{prose(f'odd-{n}')} {word} again {word}"} for n in range(20)
    ]
    write_shard(root, "news", 7, rows)
    settings_changed("mixtures", "default", "budget_tokens", to=40_000)(root)
    run(root)
    export(root, tmp_path / "x", "tokens")
    found = documents(tmp_path / "x")
    drawn = {row["id"] for row in pq.read_table(tmp_path / "x/draws.parquet").to_pylist()}
    assert any(str(one).startswith("odd-") for one in drawn)
    assert all(ids.index(eos) == len(ids) - 1 for ids in found)


def test_a_tokenizer_without_eos_adds_none_and_says_so(root: Path, tmp_path: Path) -> None:
    folder = Recipes(open_project(root)).tokenizer_folder
    (tmp_path / "bare").mkdir()
    bare = tmp_path / "bare/tokenizer.json"
    bare.write_bytes((folder / "tokenizer.json").read_bytes())
    settings_changed("tokenizer", to={"model": str(bare)})(root)
    run(root)
    done = export(root, tmp_path / "x", "tokens")
    assert (done["eos_id"], done["num_added_tokens"]) == (None, 0)
    assert sum(map(len, documents(tmp_path / "x"))) == done["num_tokens"]


def test_documents_whose_text_gives_the_id_of_eos_are_counted(root: Path, tmp_path: Path) -> None:
    bare = plain_eos(root, tmp_path / "bare")
    settings_changed("tokenizer", to={"model": str(bare)})(root)
    write_shard(
        root, "news", 7, [{"id": "odd", "text": f"{prose('odd')} <|odd|> {prose('odder')}"}]
    )
    settings_changed("mixtures", "default", "budget_tokens", to=40_000)(root)
    run(root)
    done = export(root, tmp_path / "x", "tokens")
    holding = [ids for ids in documents(tmp_path / "x") if done["eos_id"] in ids[:-1]]
    assert done["num_documents_holding_eos"] == 1
    assert holding


def plain_eos(root: Path, folder: Path) -> Path:
    """Write a tokenizer whose EOS and BOS are ordinary tokens, ``<|odd|>`` and ``<|first|>``."""
    folder.mkdir()
    tokenizer = load_tokenizer(Recipes(open_project(root)).tokenizer_folder)
    tokenizer.add_tokens(["<|odd|>", "<|first|>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        '{"eos_token": "<|odd|>", "bos_token": "<|first|>"}'
    )
    return folder


@pytest.mark.parametrize("eos", ["start", "none"])
def test_another_place_of_eos_is_another_export(eos: str, finished: Path, tmp_path: Path) -> None:
    export(finished, tmp_path / "x", "tokens")
    with pytest.raises(InputError, match="holds another export"):
        export(finished, tmp_path / "x", "tokens", eos=eos)
    folders = {Wanted.of("tokens", 2, {"eos": one}).folder for one in (eos, "end")}
    assert len(folders) == 2


@pytest.fixture(scope="module")
def odd(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose tokenizer's EOS and BOS are ordinary words, and texts that have them."""
    folder = tmp_path_factory.mktemp("odd")
    root = copy_project(finished, folder / "project")
    settings_changed("tokenizer", to={"model": str(plain_eos(root, folder / "bare"))})(root)
    odd = {"id": "odd", "text": f"<|odd|>{prose('odd')} <|odd|>"}
    write_shard(root, "news", 7, [odd, {"id": "first", "text": f"{prose('first')} <|first|>"}])
    settings_changed("mixtures", "default", "budget_tokens", to=40_000)(root)
    run(root)
    return root


def export_odd(
    root: Path, folder: Path, inside: str, text: str = "odd", bos: str = "none"
) -> tuple[dict[str, Any], list[list[int]]]:
    """Export as ids; return the manifest, and the ids of the draws of the text."""
    wanted = Wanted.of("tokens", 2, {"eos_inside": inside, "bos": bos})
    done = export_version(open_project(root), "default", version(root), wanted, folder=folder)
    places = pq.read_table(folder / "draws.parquet").column("id").to_pylist()
    found = zip(places, documents(folder), strict=True)
    return done, [ids for one, ids in found if one == text]


def test_a_text_that_gives_the_id_of_eos_can_be_refused(odd: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\(id 'odd'\) gives the id of EOS .*: escape` writes"):
        export_odd(odd, tmp_path / "x", "refuse")
    assert not (tmp_path / "x").exists()


def test_a_text_that_gives_the_id_of_eos_can_be_written_in_pieces(
    odd: Path, tmp_path: Path
) -> None:
    done, [first, *_] = export_odd(odd, tmp_path / "x", "escape")
    tokenizer = load_tokenizer(odd.parent / "bare")
    assert first.count(done["eos_id"]) == 1
    assert first[-1] == done["eos_id"]
    assert tokenizer.decode(first[:-1]) == f"<|odd|>{prose('odd')} <|odd|>"
    assert done["num_tokens"] == manifest(odd)["report"]["realised_tokens"]


def test_a_text_that_gives_the_id_of_eos_can_be_kept(odd: Path, tmp_path: Path) -> None:
    done, [first, *_] = export_odd(odd, tmp_path / "x", "keep")
    assert first.count(done["eos_id"]) == 3


def test_bos_stands_before_each_text_and_is_counted_apart(odd: Path, tmp_path: Path) -> None:
    done, _ = export_odd(odd, tmp_path / "x", "keep", bos="start")
    plain, _ = export_odd(odd, tmp_path / "plain", "keep")
    bos, found = done["bos_id"], documents(tmp_path / "x")
    assert bos != done["eos_id"]
    assert found == [[bos, *ids] for ids in documents(tmp_path / "plain")]
    assert done["num_bos_tokens"] == done["num_draws"] == len(found)
    assert done["num_added_tokens"] == 2 * len(found)
    assert done["num_tokens"] == plain["num_tokens"]
    assert done["options"]["bos"] == "start"
    assert not {"bos_id", "num_bos_tokens", "num_documents_holding_bos"} & plain.keys()
    [seen] = as_seen(open_export(open_project(odd), str(tmp_path / "x")), 64)
    assert seen["ids"] == done["num_tokens"] + done["num_added_tokens"]


def test_a_text_that_gives_the_id_of_bos_is_one_only_where_bos_is_written(
    odd: Path, tmp_path: Path
) -> None:
    done, [kept, *_] = export_odd(odd, tmp_path / "kept", "keep", "first", "start")
    assert kept.count(done["bos_id"]) == 2
    assert (done["num_documents_holding_bos"], done["num_documents_holding_eos"]) == (1, 1)
    escaped, [pieces, *_] = export_odd(odd, tmp_path / "pieces", "escape", "first", "start")
    assert pieces.count(done["bos_id"]) == 1
    # Both odd texts are in pieces, and no text has the id of a mark any more.
    assert (escaped["num_documents_holding_bos"], escaped["num_documents_holding_eos"]) == (0, 0)
    assert escaped["num_escaped_documents"] == 2
    marks = 2 * escaped["num_draws"]
    assert escaped["num_added_tokens"] == marks + escaped["num_escape_tokens"]
    assert escaped["num_escape_tokens"] > 0
    assert "num_escaped_documents" not in done
    assert load_tokenizer(odd.parent / "bare").decode(pieces[1:-1]).endswith(" <|first|>")
    _, [unmarked, *_] = export_odd(odd, tmp_path / "none", "escape", "first")
    assert unmarked.count(done["bos_id"]) == 1
    assert escaped["num_tokens"] == done["num_tokens"]


def test_each_export_of_a_list_is_an_asset_in_a_folder_of_its_own(root: Path) -> None:
    listed = [{"to": "tokens", "files": 2}, {"to": "jsonl.zst", "name": "texts", "files": 3}]
    settings_changed("export", to=listed)(root)
    planned = {task.step.asset for task in Planner(open_project(root)).plan().tasks}
    # The texts stand there already: the single form's folder is the listed one's.
    assert planned == {"token_ids", "export/default/tokens", "export/flat/tokens"}
    assert run(root).assets == planned
    folders = {path.name for path in (root / ".samplemix/lake/exports/default").glob("*/*")}
    assert folders == {"tokens-end-2", "jsonl.zst-3"}
    assert not Planner(open_project(root)).plan().tasks


def test_a_shard_is_tokenized_once_and_only_where_ids_are_exported(root: Path) -> None:
    listed = [{"to": "tokens"}, {"to": "megatron"}, {"to": "jsonl.zst"}]
    settings_changed("export", to=listed)(root)
    first = run(root)
    num_documents = sum(first.counts("token_ids").values())
    assert num_documents == rows(root, "select count(*) as n from documents")[0]["n"]
    rewrite_one_document(root)
    assert sum(run(root).counts("token_ids").values()) == 1
    settings_changed("export", to=listed[2:])(root)
    assert not Planner(open_project(root)).plan().tasks


@pytest.mark.parametrize("form", ["tokens", "megatron", "mds"])
def test_stored_ids_give_the_bytes_that_texts_give(
    form: str, root: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_changed("export", to={"format": form, "files": 2})(root)
    run(root)
    assert version(root) == version(finished)
    read = export(finished, tmp_path / "read", form)
    monkeypatch.delattr(filling, "read_shard")  # no text can be read
    assert export(root, tmp_path / "stored", form)["files"] == read["files"]


# -- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_a_folder_says_what_was_asked_for(form: str) -> None:
    wanted = Wanted.of(form, 12, {"eos": "start"})
    assert Wanted.of_folder(wanted.folder) == wanted


def test_folders_of_texts_are_called_as_they_were() -> None:
    assert Wanted.of("jsonl.zst", 4, {"eos": "end"}).folder == "jsonl.zst-4"
    assert Wanted.of("parquet", 1, {"eos": "none"}).folder == "parquet-1"


@pytest.mark.parametrize(
    "folder",
    [
        "",
        "jsonl.zst",
        "jsonl.zst-",
        "jsonl.zst-x",
        "zip-4",
        "tokens-4",
        "tokens-up-4",
        "tokens-end-keep-4",
        "tokens-end-4-4",
        "parquet-end-4",
    ],
)
def test_other_folders_are_not_ours(folder: str) -> None:
    assert not is_export_folder(folder)
    assert not is_export_file(folder, "manifest.json")


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("parquet-1", "draws.parquet"),
        ("parquet-1", "part-00000.bin"),
        ("tokens-end-1", "part-00000.parquet"),
        ("tokens-end-1", "part-00000.bin.torrent"),
        ("jsonl-1", "part-00000.jsonl.gz"),
    ],
)
def test_files_of_another_format_are_not_ours(folder: str, name: str) -> None:
    assert is_export_folder(folder)
    assert not is_export_file(folder, name)


# -- a format of one's own -------------------------------------------------------------------------


class Plain(Format):
    """Texts with a NUL after each: a format as short as one can be."""

    name = "plain"
    unit = "text"
    endings = (".nul",)
    others = ("README",)
    stem = "texts_"

    def open(self, folder: Path, plan: FilePlan) -> Writer:
        del plan
        return _Plain(folder)

    def read_back(self, folder: Path, plan: FilePlan) -> Iterator[ReadDraw]:
        for number in range(plan.num_files):
            [name] = self.file_names(number)
            *found, _ = (folder / name).read_bytes().decode().split("\0")
            for offset, line in enumerate(found):
                count, text = line.split(" ", 1)
                yield ReadDraw(file=name, offset=offset, num_tokens=int(count), digest=doc_id(text))


class _Plain(Writer):
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, number: int, draws: pa.Table) -> None:
        rows = [f"{row['num_tokens']} {row['text']}\0" for row in draws.to_pylist()]
        (self.folder / f"texts_{number:05d}.nul").write_bytes("".join(rows).encode())

    def close(self) -> None:
        (self.folder / "README").write_text("texts, a NUL after each\n")


def test_a_format_that_is_added_to_the_table_works_end_to_end(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FORMATS, "plain", Plain())
    settings_changed("export", to={"format": "plain", "files": 2})(root)
    done = run(root)
    assert {"export/default", "export/flat"} <= done.assets
    key = f"exports/default/{version(root)}/plain-2"
    folder = root / ".samplemix/lake" / key
    names = {path.name for path in folder.iterdir()}
    assert names == {"manifest.json", "README", "texts_00000.nul", "texts_00001.nul"}
    assert all(is_ours(f"{key}/{name}") for name in names)
    project = open_project(root)
    check_lake(project)
    assert not project.lake.damaged
    assert not Planner(project).plan().tasks
    (folder / "README").write_text("something else")
    check_lake(project)
    assert list(project.lake.damaged) == [f"{key}/README"]
