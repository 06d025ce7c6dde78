"""n-gram ownership on one core: our index, an exact count in dictionaries, the machine's hashing.

Both must give the same novelty. The machine's limit is BLAKE2b over the same bytes. Prints one
JSON line.

    python benchmarks/bench_ngrams.py [--megabytes 8]
"""

import argparse
import collections
import hashlib
import json
import re
import sys
import sysconfig
import time
from pathlib import Path

import numpy as np

from samplemix_dagster.core.diversity.grams.ngrams import document_grams
from samplemix_dagster.core.diversity.grams.ownership import gram_index, gram_scores
from samplemix_dagster.core.hashing import doc_id, id_words


def texts_of(megabytes):
    """Return standard library sources, ASCII only, about so many bytes."""
    found, size = [], 0
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).rglob("*.py")):
        text = path.read_text(encoding="utf-8", errors="ignore")
        if "site-packages" in path.parts or not text.isascii() or len(text) < 500:
            continue
        found.append(text)
        size += len(text)
        if size >= megabytes << 20:
            break
    return found


def novelty_by_count(texts):
    """Return novelty by counting 5-grams of words in dictionaries."""
    owners = collections.defaultdict(set)
    grams_of = []
    for number, text in enumerate(texts):
        words = re.findall(r"[a-z0-9]+", text.lower())
        grams = list(zip(*(words[k:] for k in range(5)), strict=False))
        grams_of.append(grams)
        for gram in set(grams):
            owners[gram].add(number)
    novelty = []
    for grams in grams_of:
        alone = sum(len(owners[gram]) == 1 for gram in set(grams))
        novelty.append(alone / len(grams) if grams else 0.5)
    return np.array(novelty)


def main():
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=8)
    texts = texts_of(parser.parse_args().megabytes)
    size = sum(map(len, texts))
    hashes = np.ascontiguousarray(id_words([doc_id(text) for text in texts])[:, 0])
    document_grams(texts[:2])  # compiles the kernel

    began = time.perf_counter()
    grams = document_grams(texts)
    scores = gram_scores(grams, hashes, gram_index(grams, hashes))
    ours = time.perf_counter() - began
    began = time.perf_counter()
    counted = novelty_by_count(texts)
    peer = time.perf_counter() - began
    began = time.perf_counter()
    for text in texts:
        hashlib.blake2b(text.encode()).digest()
    limit = time.perf_counter() - began
    np.testing.assert_allclose(scores.novelty, counted, atol=1e-12)
    figures = {
        "megabytes": round(size / 2**20, 1),
        "documents": len(texts),
        "megabytes_per_second": round(size / 2**20 / ours, 1),
        "ratio_to_counting_in_dictionaries": round(peer / ours, 2),
        "ratio_to_hashing_the_bytes_once": round(ours / limit, 2),
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
