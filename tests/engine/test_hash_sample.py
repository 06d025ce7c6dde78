"""The hash sample against a sort of the whole corpus."""

from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.engine.fitting import hash_sample
from samplemix_dagster.engine.fitting.hash_sample import HashSample, sample_luck

Row = tuple[str, str, str, int, int]


def shard_of(source: str, digest: str, texts: list[int]) -> tuple[Any, pa.Table]:
    documents = pa.table(
        {
            "doc_id": pa.array([doc_id(f"text {text}") for text in texts], pa.string()),
            "row": pa.array(range(len(texts)), pa.int64()),
            "num_bytes": pa.array([100 + text for text in texts], pa.int64()),
        }
    )
    return SimpleNamespace(source=source, digest=digest), documents


def by_sorting(shards: list[tuple[Any, pa.Table]], size: int, purpose: str) -> list[Row]:
    rows = []
    for shard, documents in shards:
        luck = sample_luck(documents.column("doc_id"), purpose)
        for item, own in zip(documents.to_pylist(), luck, strict=True):
            rows.append((own, shard.source, shard.digest, item["row"], item))
    rows.sort(key=lambda row: row[:4])
    seen: set[str] = set()
    found = []
    for _, source, digest, number, item in rows:
        if item["doc_id"] not in seen:
            seen.add(item["doc_id"])
            found.append((item["doc_id"], source, digest, number, item["num_bytes"]))
    return found[:size]


def gathered(shards: list[tuple[Any, pa.Table]], size: int, purpose: str) -> list[Row]:
    sample = HashSample(size, purpose)
    for shard, documents in shards:
        sample.add(shard, documents)
    return [tuple(item.values()) for item in sample.table().to_pylist()]


corpora = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "ü", "Z"]),
        st.integers(0, 10**6),
        st.lists(st.integers(0, 40), max_size=30),
    ),
    max_size=8,
    unique_by=lambda entry: entry[1],
)


@pytest.mark.parametrize("pending", [0, 7, 1 << 16])
@given(corpus=corpora, size=st.integers(0, 60), luck=st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_it_is_the_start_of_the_sorted_corpus(
    pending: int, corpus: list[Any], size: int, luck: Any
) -> None:
    shards = [shard_of(source, f"{digest:024d}", texts) for source, digest, texts in corpus]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hash_sample, "_LEAST_PENDING", pending)
        expected = by_sorting(shards, size, "sample")
        assert gathered(shards, size, "sample") == expected
        luck.shuffle(shards)
        assert gathered(shards, size, "sample") == expected


def test_two_purposes_give_two_samples() -> None:
    shards = [shard_of("a", "0" * 24, list(range(200)))]
    one, other = (gathered(shards, 20, purpose) for purpose in ("sample", "reference"))
    assert one == by_sorting(shards, 20, "sample")
    assert {row[0] for row in one} != {row[0] for row in other}
