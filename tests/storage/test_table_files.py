"""A table in a file: what stands at a key is what was written there, to the last bit."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from samplemix_dagster import tables
from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.errors import DamagedError
from samplemix_dagster.storage.lake.lake import Lake

RECIPE = {"stage": "tokens", "stage_version": 1}
FOLDER = f"features/tokens/{fingerprint(RECIPE)}"
KEY = f"{FOLDER}/{'a' * 32}.parquet"


def tokens(*numbers: int) -> pa.Table:
    ids = [f"{number:032x}" for number in range(len(numbers))]
    return tables.TOKENS.make(doc_id=ids, num_tokens=list(numbers))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path)
    made.write_table(KEY, tokens(1, 2, 3), tables.TOKENS, RECIPE)
    return made


def refused(lake: Lake, key: str = KEY) -> str:
    with pytest.raises(DamagedError) as caught:
        lake.check_table(key)
    return str(caught.value)


def test_a_flipped_bit_anywhere_is_noticed_by_who_checks(lake: Lake) -> None:
    path = lake.path(KEY)
    content = path.read_bytes()
    for place in range(0, len(content), 3):
        flipped = bytes([content[place] ^ (1 << (place % 8))])
        path.write_bytes(content[:place] + flipped + content[place + 1 :])
        assert refused(lake)


def test_a_flipped_bit_of_the_footer_is_noticed_by_who_reads(lake: Lake) -> None:
    path = lake.path(KEY)
    content = path.read_bytes()
    length = int.from_bytes(content[-8:-4], "little")
    for place in range(len(content) - 8 - length, len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        with pytest.raises(DamagedError):
            lake.num_rows(KEY)


@pytest.mark.parametrize(
    "other",
    [
        f"{FOLDER}/{'b' * 32}.parquet",
        f"features/tokens/{'0' * 24}/{'a' * 32}.parquet",
        f"features/quality/{fingerprint(RECIPE)}/{'a' * 32}.parquet",
    ],
    ids=["shard", "recipe", "stage"],
)
def test_a_table_in_the_place_of_another_says_which_it_is(other: str, lake: Lake) -> None:
    path = lake.path(other)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lake.path(KEY).read_bytes())
    assert f"it is {KEY}" in refused(lake, other)


def older(lake: Lake, key: str, table: pa.Table) -> None:
    """Write a table as an older version did: with its recipe and no digest."""
    metadata = {b"samplemix.recipe": b'{"stage": "tokens", "stage_version": 1}'}
    path = lake.path(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata(metadata), path, write_page_checksum=True)


def test_a_table_of_an_older_version_is_read(lake: Lake) -> None:
    older(lake, KEY, tokens(4, 5))
    assert lake.check_table(KEY).column("num_tokens").to_pylist() == [4, 5]


def test_a_table_of_an_older_version_in_another_recipes_folder_is_noticed(lake: Lake) -> None:
    other = f"features/tokens/{'0' * 24}/{'a' * 32}.parquet"
    older(lake, other, tokens(4))
    assert "made by another recipe" in refused(lake, other)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (pa.table({"doc_id": ["a"]}), "no column 'num_tokens'"),
        (pa.table({"doc_id": ["a"], "num_tokens": ["1"]}), "is string, not int64"),
        (
            pa.table({"doc_id": ["a"], "num_tokens": pa.array([None], pa.int64())}),
            "has nulls",
        ),
    ],
    ids=["a column less", "another type", "a null"],
)
def test_a_table_of_another_schema_is_damage(table: pa.Table, words: str, lake: Lake) -> None:
    older(lake, KEY, table)
    assert words in refused(lake)


def test_two_writers_of_a_table_write_the_same_bytes(lake: Lake, tmp_path: Path) -> None:
    other = Lake(tmp_path / "other")
    other.write_table(KEY, tokens(1, 2, 3), tables.TOKENS, RECIPE)
    assert other.path(KEY).read_bytes() == lake.path(KEY).read_bytes()
