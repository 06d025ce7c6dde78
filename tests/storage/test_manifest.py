"""Manifests: a shard is its bytes, whatever its name; parts of a source share its files out."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.config.around import S3
from samplemix_dagster.config.corpus import Source
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.corpus.manifest import (
    Manifest,
    manifest_key,
    partition_keys,
    read_manifest,
    source_of,
)
from samplemix_dagster.storage.corpus.places.files import Files
from samplemix_dagster.storage.corpus.scan import scan
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.storage.lake.whole_files import digest_file
from samplemix_dagster.storage.s3.bucket import Connection

ALL = Source(path="data/*.jsonl")


def write(root: Path, name: str, content: str) -> Path:
    path = root / "data" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def files_of(root: Path) -> Files:
    return Files(root, Connection(S3()))


def look(root: Path, known: Manifest | None = None, source: Source = ALL) -> Manifest:
    return scan("a", source, files_of(root), known)


def paths(manifest: Manifest) -> list[str]:
    return [shard.path for shard in manifest.shards]


# -- a shard is its bytes --------------------------------------------------------------------------


def test_a_shard_is_named_by_the_digest_of_its_bytes(tmp_path: Path) -> None:
    path = write(tmp_path, "one.jsonl", "1")
    [shard] = look(tmp_path).shards
    assert (shard.digest, shard.path, shard.size) == (digest_file(path), "data/one.jsonl", 1)
    assert (shard.previous, shard.other_paths) == (None, ())


def test_a_renamed_file_is_the_same_shard_with_no_past(tmp_path: Path) -> None:
    path = write(tmp_path, "one.jsonl", "1")
    before = look(tmp_path)
    path.rename(path.with_name("two.jsonl"))
    after = look(tmp_path, before)
    assert [shard.digest for shard in after.shards] == [shard.digest for shard in before.shards]
    assert paths(after) == ["data/two.jsonl"]
    assert after.shards[0].previous is None


def test_a_rewritten_file_carries_the_digest_that_it_had(tmp_path: Path) -> None:
    write(tmp_path, "one.jsonl", "first")
    before = look(tmp_path)
    write(tmp_path, "one.jsonl", "second")
    after = look(tmp_path, before)
    assert after.shards[0].previous == before.shards[0].digest
    assert look(tmp_path, after) == after


def test_a_touched_file_keeps_the_past_that_it_had(tmp_path: Path) -> None:
    path = write(tmp_path, "one.jsonl", "first")
    first = look(tmp_path)
    write(tmp_path, "one.jsonl", "second")
    second = look(tmp_path, first)
    os.utime(path, ns=(1, 1))
    [shard] = look(tmp_path, second).shards
    assert (shard.digest, shard.mtime_ns) == (second.shards[0].digest, 1)
    assert shard.previous == first.shards[0].digest


def test_files_of_the_same_bytes_are_one_shard_with_other_paths(tmp_path: Path) -> None:
    for name in ("c.jsonl", "a.jsonl", "b.jsonl"):
        write(tmp_path, name, "same")
    [shard] = look(tmp_path).shards
    assert shard.path == "data/a.jsonl"
    assert shard.other_paths == ("data/b.jsonl", "data/c.jsonl")


def test_one_of_two_equal_files_that_is_rewritten_becomes_a_shard_of_its_own(
    tmp_path: Path,
) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        write(tmp_path, name, "same")
    before = look(tmp_path)
    write(tmp_path, "b.jsonl", "another")
    after = look(tmp_path, before)
    found = {shard.path: (shard.previous, shard.other_paths) for shard in after.shards}
    assert found == {
        "data/a.jsonl": (None, ()),
        "data/b.jsonl": (before.shards[0].digest, ()),
    }


def test_the_first_of_two_equal_files_can_go(tmp_path: Path) -> None:
    first = write(tmp_path, "a.jsonl", "same")
    write(tmp_path, "b.jsonl", "same")
    before = look(tmp_path)
    first.unlink()
    after = look(tmp_path, before)
    assert [shard.digest for shard in after.shards] == [shard.digest for shard in before.shards]
    assert paths(after) == ["data/b.jsonl"]


@pytest.mark.parametrize("names", [["one.jsonl"], ["one.jsonl", "two.jsonl"]])
def test_a_file_of_unchanged_size_and_time_is_not_read_again(
    names: list[str], tmp_path: Path
) -> None:
    for name in names:
        write(tmp_path, name, "first")
    before = look(tmp_path)
    for name in names:
        path = tmp_path / "data" / name
        times = path.stat()
        path.write_text("SECND")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert look(tmp_path, before) == before
    assert look(tmp_path).shards[0].digest != before.shards[0].digest


def test_shards_stand_in_the_order_of_their_digests(tmp_path: Path) -> None:
    for number in range(8):
        write(tmp_path, f"{number}.jsonl", str(number))
    digests = [shard.digest for shard in look(tmp_path).shards]
    assert digests == sorted(digests)
    assert len(digests) == 8


# -- parts -----------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    names=st.sets(st.text("abcdefgh", min_size=1, max_size=5), min_size=1, max_size=20),
    parts=st.integers(2, 9),
)
def test_parts_share_out_every_file_once(
    names: set[str], parts: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("parts")
    for name in names:
        write(root, f"{name}.jsonl", name)
    source = Source(path="data/*.jsonl", parts=parts)
    found = [scan(key, source, files_of(root), None) for key in partition_keys("a", source)]
    shared = sorted(path for manifest in found for path in paths(manifest))
    assert shared == sorted(f"data/{name}.jsonl" for name in names)


def test_a_file_stays_in_its_part_when_others_come(tmp_path: Path) -> None:
    source = Source(path="data/*.jsonl", parts=3)
    homes = []
    for number in range(6):
        write(tmp_path, f"{number}.jsonl", str(number))
        manifests = [
            scan(key, source, files_of(tmp_path), None) for key in partition_keys("a", source)
        ]
        homes.append(next(m.partition for m in manifests if "data/0.jsonl" in paths(m)))
    assert len(set(homes)) == 1


def test_a_source_without_parts_is_one_partition() -> None:
    assert partition_keys("web", Source(path="x")) == ["web"]
    split = partition_keys("web", Source(path="x", parts=3))
    assert split == ["web:00", "web:01", "web:02"]
    assert {source_of(key) for key in split} == {"web"}


# -- what is found ---------------------------------------------------------------------------------


def test_a_pattern_that_matches_nothing_is_named(tmp_path: Path) -> None:
    source = Source(path=["data/*.jsonl", "more/**/*.parquet"])
    with pytest.raises(InputError, match=r"source 'a': nothing matches") as caught:
        scan("a:01", source, files_of(tmp_path), None)
    assert "data/*.jsonl, more/**/*.parquet" in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_two_stars_cross_folders_and_a_list_joins_patterns(tmp_path: Path) -> None:
    for name in ("a.jsonl", "deep/er/b.jsonl", "c.txt", "d.md"):
        write(tmp_path, name, name)
    source = Source(path=["data/**/*.jsonl", "data/*.txt", "data/a.jsonl"])
    found = sorted(paths(look(tmp_path, source=source)))
    assert found == ["data/a.jsonl", "data/c.txt", "data/deep/er/b.jsonl"]


def test_a_folder_stands_for_the_text_files_below_it(tmp_path: Path) -> None:
    for name in ("a.jsonl", "sub/b.txt.gz", "c.CSV", "image.png", ".hidden.txt", ".git/d.txt"):
        write(tmp_path, name, name)
    found = sorted(paths(look(tmp_path, source=Source(path="data"))))
    assert found == ["data/a.jsonl", "data/c.CSV", "data/sub/b.txt.gz"]


def test_a_data_set_that_was_saved_to_a_folder_is_its_arrow_files(tmp_path: Path) -> None:
    for name in ("data-00000-of-00001.arrow", "state.json", "dataset_info.json"):
        write(tmp_path, f"train/{name}", name)
    for name in ("dataset_dict.json", "state.json"):
        write(tmp_path, name, f"{name} above")
    found = sorted(paths(look(tmp_path, source=Source(path="data"))))
    assert found == ["data/state.json", "data/train/data-00000-of-00001.arrow"]


def test_a_folder_where_a_shard_was_expected_is_noted(tmp_path: Path) -> None:
    write(tmp_path, "x.jsonl/inner.txt", "x")
    write(tmp_path, "a.jsonl", "x")
    found = look(tmp_path)
    assert (paths(found), found.skipped) == (["data/a.jsonl"], ("data/x.jsonl",))


def test_a_file_elsewhere_keeps_its_whole_path(tmp_path: Path) -> None:
    path = write(tmp_path / "elsewhere", "a.jsonl", "x")
    found = look(tmp_path / "root", source=Source(path=str(path)))
    assert paths(found) == [str(path)]


def test_a_source_of_nothing_but_a_broken_link_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.jsonl").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match=r"a link to what is not there \(first data/a.jsonl\)"):
        look(tmp_path)


def test_files_that_are_not_read_stay_in_the_part_of_their_path(tmp_path: Path) -> None:
    for number in range(6):
        write(tmp_path, f"{number}.jsonl", str(number))
        write(tmp_path, f"{number}.foo", str(number))
    source = Source(path="data", parts=2)
    found = [scan(key, source, files_of(tmp_path), None) for key in partition_keys("a", source)]
    told = sorted(entry.path for manifest in found for entry in manifest.unread)
    assert told == [f"data/{number}.foo" for number in range(6)]


def test_a_manifest_comes_back_from_the_lake_as_it_was(tmp_path: Path) -> None:
    for name, content in (("a.jsonl", "same"), ("b.jsonl", "same"), ("x.jsonl/c", "x")):
        write(tmp_path, name, content)
    found = look(tmp_path)
    lake = Lake(tmp_path / "lake")
    assert read_manifest(lake, "a") is None
    lake.replace_json(manifest_key("a"), found.to_json())
    assert read_manifest(lake, "a") == found


def test_every_partition_has_a_manifest_of_its_own() -> None:
    keys = [*partition_keys("a", Source(path="x", parts=12)), "a", "b", "a-part-1"]
    assert len({manifest_key(key) for key in keys}) == len(keys)
