"""A choice of documents by another tool's rule, as an arm of ``samplemix evaluate``.

    python examples/dsir_arm.py --target held-out/*.jsonl --keep 0.25 --out dsir.parquet POOL...
    samplemix evaluate default dsir=dsir.parquet

The rule is that of DSIR (Xie et al. 2023, "Data selection for language models via importance
resampling", section 3): a document's weight is the ratio of two bags of hashed word 1- and 2-grams,
that of the target and that of the pool, and documents are drawn without replacement by Gumbel
noise. It knows nothing of this package: files of JSON lines go in, digests of texts come out.
"""

import argparse
import gzip
import hashlib
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

BUCKETS = 10_000
SMOOTHING = 1e-8


def texts_of(files: list[Path]) -> Iterator[str]:
    """Yield the texts of JSON lines, packed or not."""
    for file in files:
        content = file.read_bytes()
        plain = gzip.decompress(content) if file.suffix == ".gz" else content
        for line in plain.splitlines():
            text = json.loads(line).get("text")
            if isinstance(text, str) and text.strip():
                yield text


def features(text: str) -> np.ndarray:
    """Return how often each bucket of word 1- and 2-grams occurs: (BUCKETS,)."""
    words = text.lower().split()
    grams = [*words, *(" ".join(pair) for pair in pairwise(words))]
    hashes = [int.from_bytes(hashlib.blake2b(g.encode(), digest_size=4).digest()) for g in grams]
    return np.bincount(np.array(hashes, dtype=np.int64) % BUCKETS, minlength=BUCKETS)


def log_ratio(target: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """Return the log of the target's share of each bucket over the pool's: (BUCKETS,)."""
    shares = [counts / counts.sum() + SMOOTHING for counts in (target, pool)]
    return np.log(shares[0]) - np.log(shares[1])


def main() -> None:
    """Write the digests of the documents that are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pool", nargs="+", type=Path)
    parser.add_argument("--target", nargs="+", type=Path, required=True)
    parser.add_argument("--keep", type=float, default=0.25, help="Share of the documents.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    target = sum((features(text) for text in texts_of(args.target)), np.zeros(BUCKETS))
    bags = {
        hashlib.blake2b(text.encode(), digest_size=16).hexdigest(): features(text).astype(np.uint16)
        for text in texts_of(args.pool)
    }
    names = sorted(bags)
    pool = sum((bags[name].astype(np.float64) for name in names), np.zeros(BUCKETS))
    ratio = log_ratio(target, pool)
    noise = np.random.default_rng(args.seed).gumbel(size=len(names))
    weights = np.array([float(bags[name] @ ratio) for name in names])
    kept = np.argsort(-(weights + noise))[: round(args.keep * len(names))]
    pq.write_table(pa.table({"doc_id": [names[row] for row in sorted(kept)]}), args.out)
    print(f"{len(kept):,} of {len(names):,} documents are kept.")  # noqa: T201


if __name__ == "__main__":
    main()
