"""Which files a source has: what is taken, what is passed over, and that the latter is said."""

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from samplemix_dagster.config.around import S3
from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import ConfigError, InputError
from samplemix_dagster.storage.corpus.places.files import Files, Listing
from samplemix_dagster.storage.corpus.scan import unread_words
from samplemix_dagster.storage.s3.bucket import Bucket, Connection
from samplemix_dagster.storage.s3.errors import SOURCE
from tests import s3_faults

BROKEN = "a link to what is not there"
NO_ENDING = "the name has no ending: state the source's `format:`"


def write(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def found(root: Path, *patterns: str, reads_any: bool = False) -> Listing:
    return Files(root, Connection(S3())).matching(patterns, reads_any=reads_any)


def read(listing: Listing) -> list[str]:
    return list(listing.files)


def unread(listing: Listing) -> dict[str, str]:
    return {entry.path: entry.why for entry in listing.unread}


# -- endings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["data", "data/*", "data/**", "data/**/*"])
def test_what_has_no_known_ending_is_told_and_not_read(pattern: str, tmp_path: Path) -> None:
    write(tmp_path, "data/a.jsonl", "data/b.foo", "data/README", "data/c.zip")
    listing = found(tmp_path, pattern)
    assert read(listing) == ["data/a.jsonl"]
    assert unread(listing) == {
        "data/README": NO_ENDING,
        "data/b.foo": "ending .foo is not known: state the source's `format:`",
        "data/c.zip": ".zip is an archive: unpack it",
    }


def test_an_ending_that_is_known_in_other_letters_is_read(tmp_path: Path) -> None:
    write(tmp_path, "data/F.JSONL.GZ", "data/g.Parquet", "data/h.Txt")
    assert len(read(found(tmp_path, "data"))) == 3


@pytest.mark.parametrize("pattern", ["data", "data/*", "data/b.foo"])
def test_a_stated_format_reads_files_of_any_name(pattern: str, tmp_path: Path) -> None:
    write(tmp_path, "data/b.foo")
    assert read(found(tmp_path, pattern, reads_any=True)) == ["data/b.foo"]


def test_a_file_that_is_named_by_its_path_needs_a_known_ending_too(tmp_path: Path) -> None:
    write(tmp_path, "data/b.foo")
    listing = found(tmp_path, "data/b.foo")
    assert (read(listing), list(unread(listing))) == ([], ["data/b.foo"])


def test_companions_of_arrow_files_are_no_shards(tmp_path: Path) -> None:
    write(tmp_path, "set/data-00000-of-00001.arrow", "set/state.json", "set/dataset_info.json")
    listing = found(tmp_path, "set")
    assert read(listing) == ["set/data-00000-of-00001.arrow"]
    assert set(unread(listing).values()) == {"it stands beside the data and is none"}


def test_a_file_that_is_called_like_a_companion_is_read_alone(tmp_path: Path) -> None:
    write(tmp_path, "set/state.json")
    assert read(found(tmp_path, "set")) == ["set/state.json"]


def test_unread_files_are_told_by_reason_with_their_bytes(tmp_path: Path) -> None:
    write(tmp_path, "d/a.foo", "d/b.foo", "d/c.pdf")
    assert unread_words(found(tmp_path, "d").unread) == (
        "2 files of 14 bytes, ending .foo is not known: state the source's `format:` "
        "(first d/a.foo); 1 file of 7 bytes, .pdf is a document with a layout: extract its text "
        "(first d/c.pdf)"
    )


# -- hidden files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["data", "data/**", "data/**/*.jsonl"])
def test_hidden_files_and_folders_take_no_part(pattern: str, tmp_path: Path) -> None:
    write(tmp_path, "data/a.jsonl", "data/.b.jsonl", "data/.git/c.jsonl", "data/x/.d/e.jsonl")
    listing = found(tmp_path, pattern)
    assert (read(listing), unread(listing)) == (["data/a.jsonl"], {})


def test_a_pattern_can_name_what_is_hidden(tmp_path: Path) -> None:
    write(tmp_path, ".data/.a.jsonl", ".data/b.jsonl")
    assert read(found(tmp_path, ".data/.*")) == [".data/.a.jsonl"]
    assert read(found(tmp_path, ".data")) == [".data/b.jsonl"]


# -- links -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["data", "data/**/*.jsonl", "data/**", "data/*/*.jsonl"])
def test_a_linked_folder_is_read_like_any_other(pattern: str, tmp_path: Path) -> None:
    write(tmp_path, "disk/a.jsonl")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/web").symlink_to("../disk")
    assert read(found(tmp_path, pattern)) == ["data/web/a.jsonl"]


@pytest.mark.parametrize("pattern", ["data", "data/*", "data/**/*.jsonl", "data/b.jsonl"])
def test_a_link_to_what_is_gone_is_named(pattern: str, tmp_path: Path) -> None:
    write(tmp_path, "data/a.jsonl")
    (tmp_path / "data/b.jsonl").symlink_to("../gone/blob")
    assert unread(found(tmp_path, pattern)) == {"data/b.jsonl": BROKEN}


@pytest.mark.parametrize("pattern", ["data", "data/*/*.jsonl", "data/**/*.jsonl", "data/web/*"])
def test_a_linked_folder_that_is_not_mounted_is_named(pattern: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/web").symlink_to("/nowhere/web")
    if pattern == "data/web/*":
        pattern = "data/we*/*"
    assert unread(found(tmp_path, pattern)) == {"data/web": BROKEN}


def test_a_broken_link_of_another_name_does_not_belong_to_a_pattern(tmp_path: Path) -> None:
    write(tmp_path, "data/a.jsonl")
    (tmp_path / "data/notes.txt").symlink_to("gone")
    assert unread(found(tmp_path, "data/**/*.jsonl")) == {}


@pytest.mark.parametrize("pattern", ["data", "data/**/*.jsonl", "data/**", "data/**/**/*.jsonl"])
def test_links_back_up_lead_nowhere_new(pattern: str, tmp_path: Path) -> None:
    write(tmp_path, "data/x/a.jsonl")
    for name in ("one", "two", "three"):  # glob would follow these 3 to the power of 40 times
        (tmp_path / "data/x" / name).symlink_to("..")
    assert read(found(tmp_path, pattern)) == ["data/x/a.jsonl"]


def test_two_folders_that_link_to_each_other_end(tmp_path: Path) -> None:
    write(tmp_path, "data/x/a.jsonl", "data/y/b.jsonl")
    (tmp_path / "data/x/to").symlink_to("../y")
    (tmp_path / "data/y/to").symlink_to("../x")
    assert read(found(tmp_path, "data")) == [
        "data/x/a.jsonl",
        "data/x/to/b.jsonl",
        "data/y/b.jsonl",
        "data/y/to/a.jsonl",
    ]


def test_a_link_to_itself_is_a_link_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.jsonl").symlink_to("a.jsonl")
    assert unread(found(tmp_path, "data")) == {"data/a.jsonl": BROKEN}


# -- what is no file -------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["data", "data/*", "data/pipe.jsonl"])
def test_a_pipe_is_named_and_not_opened(pattern: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    os.mkfifo(tmp_path / "data/pipe.jsonl")
    why = "a pipe, a socket or a device, not a file"
    assert unread(found(tmp_path, pattern)) == {"data/pipe.jsonl": why}


def test_a_socket_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind("a.jsonl")
        assert list(unread(found(tmp_path, "*"))) == ["a.jsonl"]


def test_a_folder_named_like_a_shard_is_noted_by_a_pattern_alone(tmp_path: Path) -> None:
    write(tmp_path, "data/x.jsonl/a.txt", "data/y.foo/b.txt")
    assert found(tmp_path, "data/*").folders == ("data/x.jsonl",)
    assert found(tmp_path, "data").folders == ()


# -- names -----------------------------------------------------------------------------------------

ODD = ["a b", "a'b", 'a"b', "a\nb", "50%", "a#b", "a:b", "a[b]", "a\\b", "😀", "-rf", "~", "$HOME"]
ODD += ["{x}", "*", "?", "[!a]", "&", "a;b", "NULL", "é", "e\u0301", "a\tb", "\x1b[2J", "é" * 120]


@pytest.mark.parametrize("name", ODD)
def test_any_name_is_found_by_folder_and_by_itself(name: str, tmp_path: Path) -> None:
    path = f"data/{name}/{name}.jsonl"
    write(tmp_path, path, "data/b/b.jsonl", "data/ab/ab.jsonl")
    assert path in read(found(tmp_path, "data"))
    assert read(found(tmp_path, path)) == [path]
    assert read(found(tmp_path, f"data/{name}")) == [path]


@pytest.mark.parametrize("name", ODD)
def test_a_project_in_a_folder_of_any_name_finds_its_files(name: str, tmp_path: Path) -> None:
    root = tmp_path / name
    write(root, "data/x/a.jsonl")
    for pattern in ("data", "data/*/*.jsonl", "data/**/*.jsonl", str(root / "data")):
        assert read(found(root, pattern)) == ["data/x/a.jsonl"]


def test_a_project_in_a_folder_whose_name_is_no_utf8_is_refused(tmp_path: Path) -> None:
    root = tmp_path / os.fsdecode(b"caf\xe9")
    write(root, "samplemix.yaml")
    with pytest.raises(ConfigError, match="is not UTF-8; rename it"):
        Project.open(root / "samplemix.yaml")


def test_a_file_that_is_there_as_written_is_no_pattern(tmp_path: Path) -> None:
    write(tmp_path, "x[1].jsonl", "x1.jsonl")
    assert read(found(tmp_path, "x[1].jsonl")) == ["x[1].jsonl"]
    (tmp_path / "x[1].jsonl").unlink()
    assert read(found(tmp_path, "x[1].jsonl")) == ["x1.jsonl"]


def test_a_name_that_is_no_utf8_is_named_and_not_read(tmp_path: Path) -> None:
    write(tmp_path, "data/a.jsonl")
    for name in (b"caf\xe9.jsonl", b"caf\xe9"):
        (tmp_path / "data" / os.fsdecode(name)).write_text("x")
    (tmp_path / "data" / os.fsdecode(b"\xff.txt")).symlink_to("gone")
    listing = found(tmp_path, "data")
    assert read(listing) == ["data/a.jsonl"]
    assert set(unread(listing).values()) == {"its name is not UTF-8: rename it"}
    assert list(unread(listing)) == [r"data/\xff.txt", r"data/caf\xe9", r"data/caf\xe9.jsonl"]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [("a\0b", "NUL"), ("x" * 300 + "/*", "File name too long"), ("x" * 300, "File name too long")],
)
def test_a_name_that_no_file_can_have_is_refused(pattern: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        found(tmp_path, pattern)


def test_a_folder_that_cannot_be_listed_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "data/secret/a.jsonl")
    listdir: Callable[[Path], list[str]] = os.listdir

    def refuse(folder: Path) -> list[str]:
        if folder.name == "secret":
            raise PermissionError(13, "Permission denied", str(folder))
        return listdir(folder)

    monkeypatch.setattr(os, "listdir", refuse)
    for pattern in ("data", "data/**/*.jsonl", "data/*/*.jsonl"):
        with pytest.raises(InputError, match=r"data/secret: Permission denied"):
            found(tmp_path, pattern)


# -- S3 --------------------------------------------------------------------------------------------


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    s3_faults.use_credentials(monkeypatch)
    url = s3_faults.moto_server()
    return Bucket(s3_faults.connect(url), s3_faults.new_bucket(url), SOURCE)


@pytest.mark.parametrize("pattern", ["data", "data/", "data/*", "data/**"])
def test_objects_are_taken_and_told_by_the_same_names(pattern: str, bucket: Bucket) -> None:
    for name in ("a.JSONL.GZ", "b.foo", "README", "s.arrow", "state.json"):
        bucket.put(f"data/{name}", b"1234")
    listing = Files(Path(), bucket.connection).matching([bucket.url(pattern)])
    assert read(listing) == [bucket.url("data/a.JSONL.GZ"), bucket.url("data/s.arrow")]
    assert {path.rsplit("/", 1)[-1]: why for path, why in unread(listing).items()} == {
        "README": NO_ENDING,
        "b.foo": "ending .foo is not known: state the source's `format:`",
        "state.json": "it stands beside the data and is none",
    }
    assert {entry.num_bytes for entry in listing.unread} == {4}


def test_a_key_that_is_there_as_written_is_no_pattern(bucket: Bucket) -> None:
    for name in ("x[1].jsonl", "x1.jsonl"):
        bucket.put(name, b"1234")
    listing = Files(Path(), bucket.connection).matching([bucket.url("x[1].jsonl")])
    assert read(listing) == [bucket.url("x[1].jsonl")]
