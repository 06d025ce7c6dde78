"""What `init` writes finds the files that it shows, whatever folders and files are called."""

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from pyarrow import csv

from samplemix_dagster.cli.start.init import Found, FoundSource, describe, only_texts
from samplemix_dagster.cli.start.written import write_config
from samplemix_dagster.config.around import S3
from samplemix_dagster.config.text.reading import load_config
from samplemix_dagster.errors import InputError, SampleMixError
from samplemix_dagster.storage.corpus.places.files import Files
from samplemix_dagster.storage.s3.bucket import Connection
from tests.projects import prose

ROW = json.dumps({"text": "Some words that stand here in one row."}) + "\n"


def write(root: Path, *names: str, text: str = ROW) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def written(root: Path, place: str = "data") -> Found:
    """Look into a folder, and write the configuration beside it."""
    found = describe(str(root / place), root)
    write_config(found, root / "samplemix.yaml")
    return found


def patterns(root: Path) -> dict[str, list[str]]:
    """The sources of the configuration, with their patterns, as the program reads them."""
    sources = load_config(root / "samplemix.yaml").corpus.sources
    return {name: source.paths for name, source in sources.items()}


def files(root: Path) -> dict[str, list[str]]:
    """The files that each source of the configuration finds."""
    found = Files(root, Connection(S3()))
    return {name: list(found.matching(paths).files) for name, paths in patterns(root).items()}


# -- folders ---------------------------------------------------------------------------------------

WORDS = ["no", "yes", "on", "null", "true", "1e3", "0x1F", "1_000", "2024-01-01", "~", "="]
SIGNS = ["a b", "x[1]", "[!a]*", "*", "?", "qu'o\"te", "a#b", "{x}", "50%", "new\nline", "-rf"]
SIGNS += [
    ": a",
    "- b",
    "&c",
    "!d",
    "@e",
    ",",
    "a: b",
    "a # b",
    "back\\slash",
    "tab\tbed",
    "\x1b[2J",
]
SCRIPTS = ["新闻", "😀", "é", "e\u0301", "עברית", "\u202ereversed", "\ufeffmark", "\u2028line"]
LONG = ["x" * 255, "新" * 85]


@pytest.mark.parametrize("name", WORDS + SIGNS + SCRIPTS + LONG)
def test_a_folder_of_any_name_becomes_a_source_that_finds_its_files(
    name: str, tmp_path: Path
) -> None:
    write(tmp_path, f"data/{name}/a.jsonl", "data/b/b.jsonl")
    shown = written(tmp_path)
    found = files(tmp_path)
    assert [f"data/{name}/a.jsonl"] in found.values()
    assert found == {source.name: sorted(source.files) for source in shown.sources}


def test_all_folders_at_once_are_sources_of_their_own(tmp_path: Path) -> None:
    names = WORDS + SIGNS + SCRIPTS + LONG
    write(tmp_path, *(f"data/{name}/a.jsonl" for name in names))
    written(tmp_path)
    assert sorted(map(tuple, files(tmp_path).values())) == sorted(
        (f"data/{name}/a.jsonl",) for name in names
    )


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["a b", "a_b", "a#b"], ["a_b", "a_b_2", "a_b_3"]),
        (["新闻", "小说"], ["source_1", "source_2"]),
        (["1e3"], ["source_1e3"]),
        (["no"], ["no"]),
        (["source"], ["source_1"]),
        (["a_2", "a b", "a_b", "a_b_2"], ["a_2", "a_b", "a_b_2", "a_b_2_2"]),
    ],
)
def test_a_source_is_named_by_its_folder_and_a_number_where_names_meet(
    folders: list[str], names: list[str], tmp_path: Path
) -> None:
    write(tmp_path, *(f"data/{folder}/a.jsonl" for folder in folders))
    assert sorted(source.name for source in written(tmp_path).sources) == sorted(names)


def test_the_folder_itself_may_have_any_name(tmp_path: Path) -> None:
    for place in ("a b'c[1]#%", "*", "no", "-x"):
        write(tmp_path, f"{place}/in/a.jsonl", f"{place}/b.txt")
        written(tmp_path, place)
        found = [path for paths in files(tmp_path).values() for path in paths]
        assert sorted(found) == [f"{place}/b.txt", f"{place}/in/a.jsonl"]


def test_a_folder_elsewhere_keeps_its_whole_path(tmp_path: Path) -> None:
    write(tmp_path, "far[1]/in/a.jsonl")
    (tmp_path / "project").mkdir()
    found = describe(str(tmp_path / "far[1]"), tmp_path / "project")
    write_config(found, tmp_path / "project/samplemix.yaml")
    assert list(files(tmp_path / "project").values()) == [[str(tmp_path / "far[1]/in/a.jsonl")]]


def test_a_linked_folder_is_a_source(tmp_path: Path) -> None:
    write(tmp_path, "disk/a.jsonl", "data/book/b.jsonl")
    (tmp_path / "data/web").symlink_to("../disk")
    (tmp_path / "data/book/round").symlink_to("..")
    written(tmp_path)
    assert files(tmp_path)["web"] == ["data/web/a.jsonl"]


# -- files -----------------------------------------------------------------------------------------


def test_a_pattern_takes_the_format_and_leaves_numbers_out(tmp_path: Path) -> None:
    write(tmp_path, "data/en/c4-train.00000-of-01024.json")
    written(tmp_path)
    assert patterns(tmp_path) == {"en": ["data/en/*.json"]}
    write(tmp_path, "data/en/c4-train.00001-of-01024.json")
    assert len(files(tmp_path)["en"]) == 2


def test_each_format_of_a_folder_has_a_pattern(tmp_path: Path) -> None:
    write(tmp_path, "data/w/a.jsonl", "data/w/b.txt", "data/w/F.JSONL.GZ", "data/w/c.jl")
    found = written(tmp_path).sources[0]
    assert patterns(tmp_path)["w"] == [
        "data/w/*.JSONL.GZ",
        "data/w/*.jl",
        "data/w/*.jsonl",
        "data/w/*.txt",
    ]
    assert found.format == "jl, jsonl, jsonl.gz, txt"


@pytest.mark.parametrize("name", ["a.tgz", "a.TGZ", "a.tar.gz", "a.warc.wet.gz", "a.b.jsonl.zstd"])
def test_an_ending_of_several_parts_is_one_pattern(name: str, tmp_path: Path) -> None:
    write(tmp_path, f"data/w/{name}")
    written(tmp_path)
    assert files(tmp_path) == {"w": [f"data/w/{name}"]}


def test_what_is_deeper_is_found_too(tmp_path: Path) -> None:
    write(tmp_path, "data/w/a.jsonl", "data/w/x/y/b.jsonl")
    written(tmp_path)
    assert patterns(tmp_path) == {"w": ["data/w/**/*.jsonl"]}


def test_files_that_are_no_data_are_told_and_not_written(tmp_path: Path) -> None:
    write(tmp_path, "data/en/a.json", "data/en/SHA256SUMS", "data/en/README", "data/en/x.pdf")
    found = written(tmp_path)
    assert [entry.path for entry in found.unread] == [
        "data/en/README",
        "data/en/SHA256SUMS",
        "data/en/x.pdf",
    ]
    assert files(tmp_path) == {"en": ["data/en/a.json"]}


def test_a_file_of_labels_beside_folders_of_text_is_told_and_not_written(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    (folder / "web").mkdir(parents=True)
    (folder / "web" / "a.jsonl").write_text(json.dumps({"text": "a text " * 9}) + "\n")
    (folder / "labels.json").write_text(json.dumps({f"web-{n}": "near" for n in range(99)}))
    found = only_texts(describe(str(folder), tmp_path), "texts")
    assert [source.name for source in found.sources] == ["web"]
    [unread] = found.unread
    assert unread.path.endswith("labels.json")
    assert unread.why == "nothing in the first rows has the 20 characters of a document"


def test_a_folder_of_labels_alone_has_no_text(tmp_path: Path) -> None:
    (tmp_path / "labels.jsonl").write_text('{"id": "1", "label": "spam"}\n' * 3)
    with pytest.raises(InputError, match=r"has no text.*nothing in the first rows.*labels\.jsonl"):
        only_texts(describe(str(tmp_path), tmp_path), "here")


def test_a_folder_of_nothing_that_is_read_says_what_lies_there(tmp_path: Path) -> None:
    write(tmp_path, "data/a.pdf", "data/b.pdf")
    with pytest.raises(InputError, match=r"Not read: 2 files of \d+ bytes, .pdf is a document"):
        describe(str(tmp_path / "data"), tmp_path)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere is no folder"):
        describe(str(tmp_path / "nowhere"), tmp_path)


# -- what is written -------------------------------------------------------------------------------


def test_field_names_of_any_letters_are_read_back(tmp_path: Path) -> None:
    row = json.dumps({"текст: #1": "Some words that stand here in one row.", "null": 7}) + "\n"
    write(tmp_path, "data/a/a.jsonl", text=row)
    written(tmp_path)
    assert load_config(tmp_path / "samplemix.yaml").corpus.sources["a"].text == "текст: #1"


def test_the_written_file_is_plain_yaml(tmp_path: Path) -> None:
    write(tmp_path, "data/no/a.jsonl", "data/x: y/a.jsonl")
    written(tmp_path)
    value = yaml.safe_load((tmp_path / "samplemix.yaml").read_text(encoding="utf-8"))
    assert set(value["corpus"]["sources"]) == {"no", "x_y"}


def test_what_does_not_find_the_files_shown_is_not_written(tmp_path: Path) -> None:
    write(tmp_path, "data/a.jsonl", "data/b.jsonl")
    source = FoundSource(
        name="a",
        folder="data/",
        paths=("data/*.jsonl",),
        format="jsonl",
        text="text",
        id=None,
        num_files=1,
        num_bytes=1,
        files=frozenset({"data/a.jsonl"}),
    )
    with pytest.raises(InputError, match=r"data/b.jsonl would come in"):
        write_config(Found(sources=(source,), unread=()), tmp_path / "samplemix.yaml")
    assert not (tmp_path / "samplemix.yaml").exists()


def test_more_folders_than_a_corpus_can_have_sources_is_said(tmp_path: Path) -> None:
    write(tmp_path, *(f"data/{number}/a.jsonl" for number in range(120)))
    with pytest.raises(SampleMixError, match=re.escape("at most 99 sources")):
        written(tmp_path)


_ROWS = pa.table(
    {"id": [f"row-{n}" for n in range(9)], "content": [prose(f"p{n}") for n in range(9)]}
)


@pytest.mark.parametrize("ending", ["parquet", "arrow", "csv", "tsv", "jsonl"])
def test_the_text_is_found_in_each_format_whatever_its_field_is_called(
    ending: str, tmp_path: Path
) -> None:
    folder = tmp_path / "web"
    folder.mkdir()
    _write(_ROWS, folder / f"part-0.{ending}")
    (source,) = describe(str(folder), tmp_path).sources
    assert (source.text, source.id, source.has_text) == ("content", "id", True)


@pytest.mark.parametrize("ending", ["parquet", "arrow", "csv", "tsv", "jsonl"])
def test_a_table_of_labels_is_no_source_in_any_format(ending: str, tmp_path: Path) -> None:
    labels = pa.table({"id": ["row-1"] * 9, "label": ["spam"] * 9})
    _write(labels, tmp_path / f"labels.{ending}")
    (source,) = describe(str(tmp_path), tmp_path).sources
    assert not source.has_text


def test_a_column_called_text_that_is_empty_is_not_taken_for_the_text(tmp_path: Path) -> None:
    _write(_ROWS.append_column("text", pa.nulls(9, pa.string())), tmp_path / "part-0.parquet")
    (source,) = describe(str(tmp_path), tmp_path).sources
    assert source.text == "content"


def _write(table: pa.Table, file: Path) -> None:
    if file.suffix == ".parquet":
        pq.write_table(table, file)
    elif file.suffix == ".arrow":
        with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write(table)
    elif file.suffix == ".jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    else:
        separator = {".csv": ",", ".tsv": "\t"}[file.suffix]
        options = csv.WriteOptions(delimiter=separator, quoting_style="needed")
        csv.write_csv(table, file, options)
