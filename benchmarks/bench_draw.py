"""The draw: seconds and memory for millions of documents, against the machine's own memory speed.

The peer is the plain way: sort every activation of the corpus at once. Both must settle on the
same tokens. Prints one JSON line.

    python benchmarks/bench_draw.py [--documents 5000000]
"""

import argparse
import json
import resource
import sys
import time

import numpy as np

from samplemix_dagster.core.hashing import mix64, uniforms
from samplemix_dagster.core.mixture.scale.activation import (
    activation_histogram,
    boundary_activations,
    boundary_bins,
    join_activations,
    merge_histograms,
)
from samplemix_dagster.core.mixture.scale.settle import copies, settle

SHARDS = 10
CAP = 4


def main():
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=5_000_000)
    words = parser.parse_args()
    count = words.documents
    numbers = np.arange(2 * count, dtype=np.uint64).reshape(count, 2)
    words_N2 = mix64(numbers)
    luck = uniforms(words_N2, 0, "draw")
    tokens = (200 + 3000 * uniforms(words_N2, 0, "length")).astype(np.int64)
    weights = uniforms(words_N2, 0, "quality") * uniforms(words_N2, 0, "diversity")
    budget = int(0.2 * tokens.sum())
    shards = np.array_split(np.arange(count), SHARDS)

    began = time.perf_counter()
    histogram = merge_histograms(
        activation_histogram(weights[s], luck[s], tokens[s], CAP) for s in shards
    )
    bins = boundary_bins(histogram, budget)
    found = join_activations(
        boundary_activations(weights[s], luck[s], tokens[s], words_N2[s], max_copies=CAP, bins=bins)
        for s in shards
    )
    scale = settle(histogram, bins, found, budget)
    drawn = np.concatenate([copies(weights[s], luck[s], words_N2[s], scale, CAP) for s in shards])
    ours = time.perf_counter() - began

    began = time.perf_counter()
    activations = np.concatenate([(k - luck) / weights for k in range(1, CAP + 1)])
    order = np.argsort(activations, kind="stable")
    sums = np.cumsum(np.tile(tokens, CAP)[order])
    peer_tokens = int(sums[np.searchsorted(sums, budget, side="right") - 1])
    peer = time.perf_counter() - began

    began = time.perf_counter()
    for _ in range(6):
        (weights + luck).sum()
    memory = time.perf_counter() - began

    if int((drawn * tokens).sum()) != scale.realised_tokens or peer_tokens != scale.realised_tokens:
        raise SystemExit("the two ways disagree")
    figures = {
        "documents": count,
        "seconds": round(ours, 3),
        "ratio_to_sorting_all": round(peer / ours, 2),
        "ratio_to_reading_memory": round(ours / memory, 2),
        "tokens_left_over": budget - scale.realised_tokens,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
