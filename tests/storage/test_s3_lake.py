"""A lake on S3: what a lake on disk is, with copies that are right and manifests that are fresh."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from samplemix_dagster.errors import DamagedError, LakeError, TransientError
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.storage.lake.on_s3.s3_lake import S3Lake, s3_lake
from samplemix_dagster.storage.s3.bucket import Bucket
from samplemix_dagster.storage.s3.errors import LAKE
from samplemix_dagster.table_contract import Column, Table
from tests import s3_faults
from tests.s3_faults import Fault, Proxy

NUMBERS = Table("numbers", "One row per number.", (Column("value", pa.int64(), "a number"),))
KEY = "features/numbers/1/a.parquet"
MakeLake = Callable[[str], S3Lake]


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    s3_faults.use_credentials(monkeypatch)
    with s3_faults.proxy_before(s3_faults.moto_server()) as made:
        yield made


@pytest.fixture
def machine(proxy: Proxy, tmp_path: Path) -> MakeLake:
    """Opens one and the same lake as a machine of some name sees it."""
    bucket = s3_faults.new_bucket(s3_faults.moto_server())

    def opened(name: str) -> S3Lake:
        connection = s3_faults.connect(proxy.url, max_attempts=2)
        return s3_lake(f"s3://{bucket}/some/lake/", connection, tmp_path / name)

    return opened


def numbers(count: int) -> pa.Table:
    return NUMBERS.make(value=list(range(count)))


def write(lake: Lake, key: str = KEY, count: int = 9) -> None:
    lake.write_table(key, numbers(count), NUMBERS, {"stage": "numbers"})


def fill(lake: Lake, key: str, names: tuple[str, ...] = ("a", "b", "done")) -> None:
    with lake.fill_folder(key, "done") as aside:
        for name in names:
            (aside / name).parent.mkdir(exist_ok=True)
            (aside / name).write_text(name)


def copies(lake: S3Lake) -> set[str]:
    files = [path for path in lake.root.rglob("*") if path.is_file()]
    return {path.relative_to(lake.root).as_posix() for path in files if path.name[0] != "."}


def test_what_one_machine_writes_another_reads(machine: MakeLake) -> None:
    here, there = machine("here"), machine("there")
    write(here)
    here.write_arrays("fits/x/1/a.safetensors", {"a": np.arange(5)})
    here.write_json("fits/x/1/ids.json", {"a": 1})
    fill(here, "fits/y/1")
    assert there.read_table(KEY).equals(numbers(9))
    assert (there.num_rows(KEY), there.recipe(KEY)) == (9, {"stage": "numbers"})
    assert there.read_arrays("fits/x/1/a.safetensors")["a"].tolist() == [0, 1, 2, 3, 4]
    assert there.read_json("fits/x/1/ids.json") == {"a": 1}
    assert {p.name for p in there.folder("fits/y/1").glob("[!.]*")} == {"a", "b", "done"}
    assert there.digest(KEY) == here.digest(KEY)


@pytest.mark.parametrize("folder", ["", "fits", "fits/x", "fits/x/1", "nothing", "fits/x/1/a"])
def test_names_are_those_of_a_lake_on_disk(machine: MakeLake, tmp_path: Path, folder: str) -> None:
    lakes: list[Lake] = [machine("here"), Lake(tmp_path / "local")]
    for lake in lakes:
        lake.replace_json("fits/x/current.json", {})
        lake.write_json("fits/x/1/a", {})
        lake.write_json("fits/xy/1/b", {})
    assert lakes[0].names(folder) == lakes[1].names(folder)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What the buckets were told to do: upload or copy, and the name of the object."""
    found: list[tuple[str, str]] = []
    for how in ("upload", "copy"):
        real = getattr(Bucket, how)

        def told(self: Bucket, one: Any, key: str, how: str = how, real: Any = real) -> None:
            found.append((how, key.rsplit("/", 1)[-1]))
            real(self, one, key)

        monkeypatch.setattr(Bucket, how, told)
    return found


def fill_with_links(lake: Lake, key: str, content: bytes, expected: str = "") -> None:
    """Fill a folder with a file and a link to it."""
    with lake.fill_folder(key, "done") as aside:
        (aside / "a").write_bytes(content)
        (aside / "b").hardlink_to(aside / "a")
        (aside / "done").write_bytes(b"done")
        if expected:
            lake.expect(aside / "a", expected)


def test_links_to_one_file_travel_once(machine: MakeLake, sent: list[tuple[str, str]]) -> None:
    here = machine("here")
    fill_with_links(here, "exports/x/1", b"ids")
    assert sent == [("upload", "a"), ("copy", "b"), ("upload", "done")]
    assert [here.bucket.read(f"some/lake/exports/x/1/{name}") for name in "ab"] == [b"ids"] * 2


@pytest.mark.parametrize("size", [9, 70 << 20])
def test_bytes_that_stand_elsewhere_do_not_travel(
    size: int, machine: MakeLake, sent: list[tuple[str, str]]
) -> None:
    here = machine("here")
    for version in ("1", "2"):
        expected = "exports/x/1/a" if version == "2" else ""
        fill_with_links(here, f"exports/x/{version}", bytes(range(1, 10)) * (size // 9), expected)
    assert sent[3:] == [("copy", "a"), ("copy", "b"), ("upload", "done")]
    entries = {one.key: one for one in here.bucket.below("some/lake/exports/x/")}
    assert len({one.etag for key, one in entries.items() if not key.endswith("done")}) == 1
    assert ("-" in entries["some/lake/exports/x/2/a"].etag) == (size > 64 << 20)


@pytest.mark.parametrize("expected", [b"idz", b"id", None])
def test_other_bytes_than_were_expected_are_sent(
    expected: bytes | None, machine: MakeLake, sent: list[tuple[str, str]]
) -> None:
    here = machine("here")
    if expected is not None:
        here.bucket.put("some/lake/exports/x/1/a", expected)
    fill_with_links(here, "exports/x/2", b"ids", "exports/x/1/a")
    assert sent[0] == ("upload", "a")
    assert here.bucket.read("some/lake/exports/x/2/a") == b"ids"


def test_a_file_is_fetched_once(machine: MakeLake, proxy: Proxy) -> None:
    write(machine("here"))
    there = machine("there")
    for _ in range(3):
        there.read_table(KEY)
    assert proxy.count("GET", "a.parquet") == 1
    assert copies(there) == {KEY}


def test_who_checks_reads_the_object_where_there_is_a_copy(machine: MakeLake, proxy: Proxy) -> None:
    here, there = machine("here"), machine("there")
    write(here)
    fill(here, "fits/x/1")
    there.remove(KEY)
    there.bucket.put(there.prefix + "fits/x/1/a", b"other")
    proxy.requests.clear()
    assert here.read_table(KEY).num_rows == 9
    with here.afresh():
        for _ in range(2):
            with pytest.raises(LakeError, match="the lake has no"):
                here.read_table(KEY)
            assert here.path("fits/x/1/a").read_bytes() == b"other"
            assert here.path("fits/x/1/b").read_bytes() == b"b"
    sent = [(one.target.rsplit("/", 1)[-1], one.num_bytes) for one in proxy.requests]
    assert sent[1:] == [("a", 5), ("b", 0), sent[0]]  # nothing travels of what is the same
    assert copies(here) == {"fits/x/1/a", "fits/x/1/b", "fits/x/1/done"}


def test_a_copy_is_mended_only_where_it_is_not_the_object(machine: MakeLake) -> None:
    here = machine("here")
    # What was sent in parts has another ETag than the MD5 of its bytes.
    in_parts = Bucket(here.bucket.connection, here.bucket.name, LAKE, multipart_bytes=1)
    for bucket in (here.bucket, in_parts):
        here.path(KEY).unlink(missing_ok=True)
        assert not here.mend_copy(KEY)
        here.path(KEY).with_name("local").write_bytes(b"content")
        bucket.upload(here.root / "features/numbers/1/local", here.prefix + KEY)
        assert here.path(KEY).read_bytes() == b"content"
        assert not here.mend_copy(KEY)
        here.path(KEY).write_bytes(b"cont")
        assert here.mend_copy(KEY)
        assert here.path(KEY).read_bytes() == b"content"


def test_a_copy_that_is_removed_is_read_on_and_fetched_again(machine: MakeLake) -> None:
    here = machine("here")
    fill(here, "fits/x/1")
    with here.path("fits/x/1/a").open() as file:
        here.remove_copy("fits/x/1/a")
        assert file.read() == "a"
    assert copies(here) == {"fits/x/1/b", "fits/x/1/done"}
    assert {path.name for path in here.folder("fits/x/1").glob("[!.]*")} == {"a", "b", "done"}


def test_a_folder_that_was_removed_file_by_file_is_fetched_when_it_is_there_again(
    machine: MakeLake,
) -> None:
    here, there = machine("here"), machine("there")
    fill(here, "fits/x/1")
    for name in ("done", "a", "b"):
        here.remove(f"fits/x/1/{name}")
    fill(there, "fits/x/1")
    assert {path.name for path in here.folder("fits/x/1").glob("[!.]*")} == {"a", "b", "done"}


def test_a_file_that_stands_is_not_sent_again(machine: MakeLake, proxy: Proxy) -> None:
    write(machine("here"))
    write(machine("there"))
    assert proxy.count("PUT", "a.parquet") == 1


def test_a_copy_does_not_make_a_file_exist(machine: MakeLake) -> None:
    here = machine("here")
    write(here)
    machine("there").remove(KEY)
    assert copies(here) == {KEY}
    assert not machine("here").exists(KEY)
    assert machine("here").names("features/numbers/1") == set()


@pytest.mark.parametrize("key", ["shards/current.json", "state/b.json", "models/others.json"])
def test_a_manifest_is_asked_for_each_time(machine: MakeLake, key: str) -> None:
    here, there = machine("here"), machine("there")
    assert here.read_json(key, "none") == "none"
    for value in (1, 2):
        there.replace_json(key, value)
        assert here.read_json(key) == value
    there.remove(key)
    assert here.read_json(key, "none") == "none"
    assert copies(here) == set()


def test_a_report_is_fetched_again_when_it_was_replaced(
    machine: MakeLake, proxy: Proxy, tmp_path: Path
) -> None:
    here, there = machine("here"), machine("there")
    for content in (b"one", b"two"):
        (tmp_path / "file").write_bytes(content)
        there.publish(tmp_path / "file", "reports/a.parquet")
        assert here.path("reports/a.parquet").read_bytes() == content
    before = proxy.num_bytes
    assert here.path("reports/a.parquet").read_bytes() == b"two"
    assert proxy.num_bytes == before  # it was asked whether it is still the same
    there.remove("reports/a.parquet")
    assert not here.path("reports/a.parquet").exists()


def test_a_snapshot_looks_once_and_sees_its_own_writes(machine: MakeLake, proxy: Proxy) -> None:
    lake = machine("here")
    lake.replace_json("state/a.json", 1)
    write(lake)
    proxy.requests.clear()
    with lake.snapshot():
        for _ in range(3):
            assert lake.read_json("state/a.json") == 1
            assert lake.names("features/numbers/1") == {"a.parquet"}
            assert not lake.exists("features/numbers/1/b.parquet")
        assert len(proxy.requests) == 2
        lake.replace_json("state/a.json", 2)
        assert lake.read_json("state/a.json") == 2
        write(lake, "features/numbers/1/b.parquet")
        assert lake.exists("features/numbers/1/b.parquet")


def test_a_folder_is_sent_with_its_marker_last(machine: MakeLake, proxy: Proxy) -> None:
    fill(machine("here"), "fits/x/1", ("z", "done", "b/c"))
    sent = [one.target.split("/1/")[-1] for one in proxy.requests if one.method == "PUT"]
    assert sent == ["b/c", "z", "done"]


@pytest.mark.parametrize("name", ["a", "b", "done"])
def test_a_folder_that_is_half_sent_is_not_there(
    machine: MakeLake, proxy: Proxy, name: str
) -> None:
    here = machine("here")
    proxy.faults = [Fault("PUT", f"/1/{name}", times=9, status=503, code="SlowDown")]
    with pytest.raises(TransientError, match="SlowDown"):
        fill(here, "fits/x/1")
    assert copies(here) == set()
    assert not machine("there").exists("fits/x/1/done")
    proxy.faults = []
    fill(here, "fits/x/1")
    assert machine("there").exists("fits/x/1/done")
    assert copies(here) == {"fits/x/1/a", "fits/x/1/b", "fits/x/1/done"}


def test_a_folder_without_its_marker_is_not_sent(machine: MakeLake, proxy: Proxy) -> None:
    with pytest.raises(LakeError, match="nothing wrote done"):
        fill(machine("here"), "fits/x/1", ("a",))
    assert proxy.count("PUT", "fits/x/1") == 0


def test_a_file_that_cannot_be_sent_is_no_copy(machine: MakeLake, proxy: Proxy) -> None:
    here = machine("here")
    proxy.faults = [Fault("PUT", "a.parquet", times=9, cut_request=100)]
    with pytest.raises(TransientError, match="the connection was cut"):
        write(here)
    assert copies(here) == set()
    assert not here.exists(KEY)


def test_a_fetch_that_breaks_off_is_no_copy(machine: MakeLake, proxy: Proxy) -> None:
    write(machine("here"), count=50_000)
    there = machine("there")
    proxy.faults = [Fault("GET", "a.parquet", times=9, cut_answer=0)]
    with pytest.raises(TransientError, match="the connection was cut"):
        there.read_table(KEY)
    assert copies(there) == set()
    proxy.faults = []
    assert there.read_table(KEY).num_rows == 50_000


def test_removing_a_folder_removes_objects_and_copies(machine: MakeLake) -> None:
    here = machine("here")
    fill(here, "mixtures/m/1")
    fill(here, "mixtures/m/12")
    here.remove_folder("mixtures/m/1")
    assert here.names("mixtures/m") == {"12"}
    assert not here.exists("mixtures/m/1/done")
    assert all(copy.startswith("mixtures/m/12/") for copy in copies(here))


def test_an_export_keeps_no_copy(machine: MakeLake) -> None:
    here = machine("here")
    fill(here, "exports/m/1/form")
    assert copies(here) == set()
    assert machine("there").names("exports/m/1/form") == {"a", "b", "done"}


@pytest.mark.parametrize("read", ["read_table", "read_arrays", "num_rows"])
def test_what_is_missing_is_named(machine: MakeLake, read: str) -> None:
    with pytest.raises(LakeError, match="fits/x/1/gone"):
        getattr(machine("here"), read)("fits/x/1/gone")


def test_messages_name_the_url(machine: MakeLake) -> None:
    lake: Any = machine("here")
    lake.write_bytes("fits/x/1/fit.json", b"not json")
    with pytest.raises(
        LakeError, match=r"s3://samplemix-\w+/some/lake/fits/x/1/fit.json is damaged"
    ):
        lake.read_json("fits/x/1/fit.json")


def test_a_walk_sees_every_object_with_its_size_and_age(machine: MakeLake) -> None:
    here = machine("here")
    write(here)
    fill(here, "fits/y/1")
    found = {file.key: file for file in machine("there").walk()}
    assert set(found) == {KEY, "fits/y/1/a", "fits/y/1/b", "fits/y/1/done"}
    assert found[KEY].size == here.path(KEY).stat().st_size
    assert all(file.modified > 1.7e9 for file in found.values())


def test_a_damaged_object_is_noted_and_can_be_made_again(machine: MakeLake) -> None:
    here, there = machine("here"), machine("there")
    write(here)
    there.bucket.put(there.prefix + KEY, b"not a table")
    with pytest.raises(DamagedError, match="damaged"):
        there.read_table(KEY)
    assert there.damaged == [KEY]
    there.remove(KEY)
    assert not there.exists(KEY)
    assert not copies(there)
    write(there)
    assert machine("third").read_table(KEY).equals(numbers(9))


def test_a_folder_that_is_half_removed_is_not_there(machine: MakeLake, proxy: Proxy) -> None:
    here = machine("here")
    with here.fill_folder("fits/x/1", "fit.json") as aside:
        for name in ("a.parquet", "fit.json"):
            (aside / name).write_text(name)
    proxy.faults = [Fault("DELETE", "a.parquet", times=9, status=403, code="AccessDenied")]
    with pytest.raises(LakeError, match="access is denied"):
        here.remove_folder("fits/x/1")
    assert here.names("fits/x/1") == {"a.parquet"}
    assert not here.exists("fits/x/1/fit.json")


def test_what_others_removed_is_noticed_after_a_refresh(machine: MakeLake) -> None:
    here = machine("here")
    write(here)
    machine("there").remove(KEY)
    here.refresh()
    assert not here.exists(KEY)
    write(here)
    assert machine("elsewhere").read_table(KEY).num_rows == 9
