"""The order of an export: seconds and memory for millions of draws, and how even its windows are.

Draws are synthetic: shards of 50,000 documents in 80 clusters, each drawn one to four times. The
peer sorts all draws at once in memory, as long as they fit; both must give the same order. Windows
are compared with those of a plain shuffle: how far the strata of a window of W draws are from the
mixture's (total variation), the mean and the worst of 500 windows. Prints one JSON line.

    python benchmarks/bench_order.py [--draws 10000000] [--peer] [--windows]
"""

import argparse
import hashlib
import json
import resource
import sys
import time

import numpy as np
import pyarrow as pa

from samplemix_dagster.core.hashing import id_words, mix64
from samplemix_dagster.core.mixture.order import order_keys, order_luck, strata_of
from samplemix_dagster.stages.export.order import ordered_draws

DOCUMENTS = 50_000
CLUSTERS = 80
DRAWS_OF_A_DOCUMENT = 2.5
WINDOWS = (256, 2_048, 16_384)
DIGITS = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


class SyntheticLake:
    """Ledgers and scores of shards, made when they are read; the same name gives the same."""

    def read_table(self, key, columns):
        """Return a shard's ledger or scores."""
        shard = int(key.split("/")[-1].removesuffix(".parquet").split("-")[-1], 16)
        numbers = np.arange(DOCUMENTS, dtype=np.uint64) + np.uint64(shard * DOCUMENTS)
        rng = np.random.default_rng(shard)
        sizes = 1.0 / np.arange(1, CLUSTERS + 1)
        table = {
            "doc_id": pa.array(hex_ids(numbers)),
            "row": np.arange(DOCUMENTS),
            "num_tokens": rng.integers(50, 3000, DOCUMENTS),
            "quality": rng.beta(2.0, 2.0, DOCUMENTS),
            "copies": rng.integers(1, 5, DOCUMENTS).astype(np.int32),
            "cluster": rng.choice(CLUSTERS, DOCUMENTS, p=sizes / sizes.sum()),
        }
        return pa.table({name: table[name] for name in columns})


def hex_ids(numbers):
    """Return ids of 32 hexadecimal digits."""
    words = np.stack([mix64(numbers), mix64(~numbers)], axis=1).astype(">u8")
    octets = words.view(np.uint8).reshape(len(numbers), 16)
    digits = np.stack([DIGITS[octets >> 4], DIGITS[octets & 15]], axis=2)
    return digits.reshape(len(numbers), 32).view("S32").ravel().astype(str)


def manifest_of(draws):
    """Return what of a manifest the order reads, for so many draws."""
    count = max(1, round(draws / DRAWS_OF_A_DOCUMENT / DOCUMENTS))
    return {
        "name": "synthetic",
        "version": "0" * 24,
        "shards": [{"source": "all", "digest": f"{number:032x}"} for number in range(count)],
        "recipe": {"scores": {"all": "0" * 24}},
        "config": {"seed": 0},
        "report": {"num_draws": draws},
    }


def every_draw(lake, manifest):
    """Return shard, row, copy, strata, luck and words of all draws, in memory."""
    parts = []
    for number, shard in enumerate(manifest["shards"]):
        names = ["doc_id", "row", "quality", "copies", "cluster"]
        table = lake.read_table(f"x/{shard['digest']}.parquet", names)
        times = table["copies"].to_numpy().astype(np.int64)
        repeat = np.repeat(np.arange(times.size), times)
        copy = np.arange(repeat.size) - np.repeat(np.cumsum(times) - times, times)
        words = id_words(table["doc_id"].to_numpy(zero_copy_only=False).astype("S32"))[repeat]
        strata = strata_of(table["cluster"].to_numpy(), table["quality"].to_numpy())[repeat]
        luck = order_luck(words, copy, times[repeat], 0)
        parts.append((np.full(repeat.size, number), repeat, copy, strata, luck, words))
    return [np.concatenate(columns) for columns in zip(*parts, strict=True)]


def all_at_once(lake, manifest):
    """Return the digest of the order of all draws, and the strata in that order."""
    shard, row, copy, strata, luck, words = every_draw(lake, manifest)
    keys = order_keys(strata, luck, words, copy)
    order = np.lexsort((copy, words[:, 1], words[:, 0], keys))
    digest = hashlib.blake2b(digest_size=16)
    digest.update(np.stack([shard[order], row[order], copy[order]], axis=1).tobytes())
    return digest.hexdigest(), strata[order]


def by_ranges(lake, manifest):
    """Return the digest of the order, range by range, and how many draws there are."""
    digest, count = hashlib.blake2b(digest_size=16), 0
    with ordered_draws(lake, manifest) as stretches:
        for one in stretches:
            rows = np.stack([one.shard, one.row, one.copy], axis=1)
            digest.update(rows.astype(np.int64).tobytes())
            count += one.shard.size
    return digest.hexdigest(), count


def window_gaps(strata, length):
    """Return the mean and the largest total variation of 500 windows from the whole."""
    rng = np.random.default_rng(1)
    size = int(strata.max()) + 1
    whole = np.bincount(strata, minlength=size) / strata.size
    starts = rng.integers(0, strata.size - length, 500)
    found = [
        0.5 * np.abs(np.bincount(strata[s : s + length], minlength=size) / length - whole).sum()
        for s in starts
    ]
    return [round(float(np.mean(found)), 4), round(float(np.max(found)), 4)]


def main():
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=10_000_000)
    parser.add_argument("--peer", action="store_true", help="sort all at once instead")
    parser.add_argument("--windows", action="store_true", help="compare windows with a shuffle's")
    words = parser.parse_args()
    lake, manifest = SyntheticLake(), manifest_of(words.draws)
    began = time.perf_counter()
    figures = {}
    if words.peer or words.windows:
        digest, strata = all_at_once(lake, manifest)
        count = strata.size
        if words.windows:
            shuffled = np.random.default_rng(0).permutation(strata)
            figures["num_strata"] = int(np.unique(strata).size)
            for length in WINDOWS:
                figures[f"window_{length}"] = {
                    "ours": window_gaps(strata, length),
                    "shuffled": window_gaps(shuffled, length),
                }
    else:
        digest, count = by_ranges(lake, manifest)
    figures = {
        "draws": int(count),
        "way": "all at once" if words.peer or words.windows else "by ranges",
        "seconds": round(time.perf_counter() - began, 1),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "order": digest,
        **figures,
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
