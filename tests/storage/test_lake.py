"""The lake: a file appears whole or not at all, is never changed, and says what is wrong."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from samplemix_dagster.errors import DamagedError, LakeError
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.storage.lake.whole_files import digest_file
from samplemix_dagster.table_contract import Column, Table

ROOT = Path(__file__).parents[2]
NUMBERS = Table("numbers", "One row per number.", (Column("value", pa.int64(), "a number"),))
# A file system of 64 kB, or one that is read-only, for one process: works as root too.
_MOUNT = 'mount -t tmpfs -o "$2" tmpfs "$1" && exec "$3" -c "$4" "$1"'


def numbers(count: int) -> pa.Table:
    return NUMBERS.make(value=list(range(count)))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def names_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# -- whole or not at all ---------------------------------------------------------------------------

WRITE_FOR_EVER = """
import sys
from pathlib import Path
import numpy as np
from tests.storage import test_lake as t
lake, table = t.Lake(Path(sys.argv[1])), t.noise()
for number in range(10**6):
    lake.write_table(f"tables/{number}.parquet", table, t.NUMBERS, {"n": number})
    lake.write_arrays(f"arrays/{number}.safetensors", {"a": np.arange(10**6)})
    lake.write_json(f"json/{number}.json", list(range(10**5)))
    lake.replace_json("json/current.json", list(range(10**5 + number)))
    with lake.fill_folder(f"folders/{number}", "done") as aside:
        (aside / "first").write_bytes(b"x" * 10**6)
        (aside / "done").write_bytes(b"y" * 10**6)
    print("ready", flush=True)
"""


def read_all_that_can_be_seen(lake: Lake) -> int:
    """Read every file of the writer, each of which must be whole; return how many there were."""
    tables, arrays = lake.names("tables"), lake.names("arrays")
    for name in tables:
        assert lake.read_table(f"tables/{name}").num_rows == 10**5
    for name in arrays:
        assert lake.read_arrays(f"arrays/{name}")["a"][-1] == 10**6 - 1
    for name in lake.names("json"):
        assert lake.read_json(f"json/{name}")[:3] == [0, 1, 2]
    for name in lake.names("folders"):
        assert names_below(lake.path(f"folders/{name}")) == ["done", "first"]
        assert (lake.path(f"folders/{name}") / "done").stat().st_size == 10**6
    return len(tables) + len(arrays)


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.3])
def test_every_file_that_can_be_seen_is_whole_before_and_after_kill_9(
    seconds: float, lake: Lake
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITE_FOR_EVER, str(lake.root)], stdout=subprocess.PIPE, cwd=ROOT
    ) as writer:
        while writer.poll() is None and read_all_that_can_be_seen(lake) < 3:
            pass
        time.sleep(seconds)
        writer.send_signal(signal.SIGKILL)
    assert read_all_that_can_be_seen(lake) >= 3


def test_what_is_not_finished_has_no_name_in_the_lake(lake: Lake) -> None:
    def fail_half_way() -> None:
        with lake.fill_folder("fits/a", "fit.json") as aside:
            (aside / "half").write_text("half")
            assert lake.names("fits") == set()
            raise KeyError

    with pytest.raises(KeyError):
        fail_half_way()
    assert names_below(lake.root) == []


def test_a_folder_without_its_marker_does_not_appear(lake: Lake) -> None:
    with (
        pytest.raises(LakeError, match=r"nothing wrote fit\.json"),
        lake.fill_folder("fits/a", "fit.json") as aside,
    ):
        (aside / "other").write_text("x")
    assert not lake.path("fits/a").exists()


def test_a_table_that_breaks_its_contract_is_not_written(lake: Lake) -> None:
    with pytest.raises(ValueError, match="no column 'value'"):
        lake.write_table("a.parquet", pa.table({"other": [1]}), NUMBERS, {})
    with pytest.raises(ValueError, match="nulls in column 'value'"):
        lake.write_table("a.parquet", pa.table({"value": [None, 1]}), NUMBERS, {})
    assert names_below(lake.root) == []


def test_two_writers_of_one_folder_leave_one_whole_folder(lake: Lake) -> None:
    both_inside = threading.Barrier(2)
    failures: list[BaseException] = []

    def fill() -> None:
        try:
            with lake.fill_folder("fits/a", "fit.json") as aside:
                (aside / "fit.json").write_text("the same")
                both_inside.wait(10)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=fill) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [path.name for path in lake.path("fits").iterdir()] == ["a"]
    assert names_below(lake.path("fits/a")) == ["fit.json"]


def test_writers_of_one_file_at_the_same_time_leave_one_whole_file(lake: Lake) -> None:
    start = threading.Barrier(4)

    def write() -> None:
        start.wait(10)
        for number in range(20):
            lake.write_table(f"a/{number}.parquet", numbers(100), NUMBERS, {})

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names_below(lake.root) == sorted(f"{number}.parquet" for number in range(20))
    assert all(lake.read_table(f"a/{n}.parquet").num_rows == 100 for n in range(20))


# -- never changed ---------------------------------------------------------------------------------


def test_a_file_that_exists_is_never_written_again(lake: Lake) -> None:
    lake.write_table("a.parquet", numbers(3), NUMBERS, {"made": 1})
    lake.write_arrays("a.safetensors", {"x": np.zeros(2)})
    lake.write_json("a.json", 1)
    lake.write_bytes("a.bin", b"1")
    before = {name: digest_file(lake.path(name)) for name in names_below(lake.root)}
    lake.write_table("a.parquet", numbers(4), NUMBERS, {"made": 2})
    lake.write_arrays("a.safetensors", {"x": np.ones(2)})
    lake.write_json("a.json", 2)
    lake.write_bytes("a.bin", b"2")
    assert {name: digest_file(lake.path(name)) for name in names_below(lake.root)} == before


def test_a_manifest_is_replaced_whole(lake: Lake) -> None:
    for value in (1, {"version": "b", "text": "ä\u2028"}):
        lake.replace_json("current.json", value)
        assert lake.read_json("current.json") == value
    assert names_below(lake.root) == ["current.json"]


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        lake = Lake(tmp_path / name)
        lake.write_table("a.parquet", numbers(1000), NUMBERS, {"b": 1, "a": 2})
        lake.write_arrays("a.safetensors", {"y": np.arange(3), "x": np.ones((2, 2))})
    shutil.copytree(tmp_path / "one", tmp_path / "three")
    lakes = [Lake(tmp_path / name) for name in ("one", "two", "three")]
    for name in ("a.parquet", "a.safetensors"):
        assert len({lake.digest(name) for lake in lakes}) == 1


def test_a_table_says_by_which_recipe_it_was_made(lake: Lake) -> None:
    lake.write_table("a.parquet", numbers(1), NUMBERS, {"stage": "x", "version": 3})
    assert lake.recipe("a.parquet") == {"stage": "x", "version": 3}


# -- arrays ----------------------------------------------------------------------------------------

ARRAYS = st.dictionaries(
    st.text("abc", min_size=1, max_size=4),
    st.sampled_from([np.float64, np.float32, np.int64, np.int32, np.uint8, np.uint64]).flatmap(
        lambda kind: npst.arrays(kind, npst.array_shapes(min_dims=0, max_dims=3, min_side=0))
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=60, deadline=None)
@given(arrays=ARRAYS)
def test_arrays_come_back_with_their_shapes_types_and_bits(
    arrays: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake = Lake(tmp_path_factory.mktemp("arrays"))
    lake.write_arrays("a.safetensors", arrays)
    found = lake.read_arrays("a.safetensors")
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype)
        assert found[name].tobytes() == array.tobytes()


def test_arrays_of_another_memory_order_keep_their_values(lake: Lake) -> None:
    array = np.arange(12).reshape(3, 4)
    views = {"transposed": array.T, "strided": array[:, ::2], "fortran": np.asfortranarray(array)}
    lake.write_arrays("a.safetensors", {**views, "number": np.float64(0.1)})
    found = lake.read_arrays("a.safetensors")
    for name, view in views.items():
        np.testing.assert_array_equal(found[name], view)
    assert found["number"].shape == ()
    assert float(found["number"]) == 0.1


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("a.parquet", Lake.read_table),
        ("a.parquet", Lake.num_rows),
        ("a.parquet", Lake.recipe),
        ("a.safetensors", Lake.read_arrays),
        ("a.json", Lake.read_json),
    ],
    ids=["table", "rows", "recipe", "arrays", "json"],
)
def test_a_damaged_file_is_named_with_what_to_do(name: str, read: Any, lake: Lake) -> None:
    lake.write_table("a.parquet", numbers(100), NUMBERS, {})
    lake.write_arrays("a.safetensors", {"x": np.arange(100)})
    lake.write_json("a.json", {"key": "value"})
    file = lake.path(name)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(DamagedError, match=r"damaged.*`samplemix run` makes it again") as caught:
        read(lake, name)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("read", [Lake.read_table, Lake.read_arrays, Lake.num_rows, Lake.recipe])
def test_a_missing_file_is_named_with_what_to_do(read: Any, lake: Lake) -> None:
    with pytest.raises(LakeError, match=r"features/gone.*`samplemix run`"):
        read(lake, "features/gone")


def test_a_missing_manifest_gives_the_default(lake: Lake) -> None:
    assert lake.read_json("none.json") is None
    assert lake.read_json("none.json", {}) == {}
    assert lake.names("nowhere") == set()


def test_a_number_that_json_does_not_have_is_refused(lake: Lake) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        lake.replace_json("a.json", {"x": float("nan")})
    assert names_below(lake.root) == []


TRY_EVERYTHING = """
import json, sys
from pathlib import Path
import numpy as np
from tests.storage import test_lake as t
lake = t.Lake(Path(sys.argv[1]))
def fill():
    with lake.fill_folder("f/folder", "m") as aside:
        t.Lake(aside).write_bytes("m", bytes(10**6))
tries = [
    lambda: lake.write_table("t/a.parquet", t.noise(), t.NUMBERS, {}),
    lambda: lake.write_arrays("a/a.safetensors", {"x": np.arange(10**6)}),
    lambda: lake.replace_json("j/a.json", list(range(10**6))),
    lambda: lake.write_bytes("b/a.bin", bytes(10**6)),
    fill,
]
said = []
for attempt in tries:
    try:
        attempt()
        said.append("no error")
    except BaseException as error:
        said.append(f"{type(error).__name__}: {error}")
print(json.dumps({"said": said, "left": t.names_below(lake.root)}))
"""


def noise() -> pa.Table:
    """A table that zstd cannot press into 64 kB."""
    return NUMBERS.make(value=np.random.default_rng(0).integers(0, 2**62, 10**5))


def try_everything_on(folder: Path, options: str) -> dict[str, Any]:
    """What every way of writing says on a file system of its own."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("there is no unshare to mount a small file system with")
    folder.mkdir()
    words = [str(folder), options, sys.executable, TRY_EVERYTHING]
    done = subprocess.run(
        [unshare, "-rm", "sh", "-c", _MOUNT, "sh", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip(f"this machine lets nobody mount: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_a_full_disk_is_said_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    found = try_everything_on(tmp_path / "small", "size=64k")
    for sentence in found["said"]:
        assert sentence.startswith("LakeError: the disk is full: ")
        assert sentence.endswith("could not be written. Free space and run again.")
    assert found["left"] == []


def test_a_read_only_lake_is_said(tmp_path: Path) -> None:
    found = try_everything_on(tmp_path / "fixed", "ro")
    for sentence in found["said"]:
        assert sentence.startswith("LakeError: ")
        assert sentence.endswith("the lake needs write access.")


def test_a_lake_without_write_permission_is_said(lake: Lake) -> None:
    lake.root.mkdir()
    lake.root.chmod(0o500)
    if os.access(lake.root, os.W_OK):
        lake.root.chmod(0o700)
        pytest.skip("chmod has no effect on this user (root)")
    with pytest.raises(LakeError, match="the lake needs write access"):
        lake.replace_json("a.json", 1)
    lake.root.chmod(0o700)
