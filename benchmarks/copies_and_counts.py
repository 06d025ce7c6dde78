"""What copies of a text, and a text that was copied, cost whom counts have met: AUC of perplexity.

    python benchmarks/copies_and_counts.py --pool POOL

POOL is what `samplemix dirty` or a maker with `labels.json` wrote, near-copies in it. A reference
counts n-grams of all of it, or of its clean documents, or of those that were not copied. Each
document is left out while it is scored. Printed is the AUC of few bits per byte, clean documents
(that were not copied, where those are not counted) above each kind of junk. A near-copy was made of
the clean document of its source that has most of its runs of five words.
"""

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from signals_by_kind import Ngrams, pool

from samplemix_dagster.core.quality.students.agreement import area_under_curve

RUN = 5
LEAST_SHARED = 0.4


def runs(text: str) -> set[tuple[str, ...]]:
    """Return the runs of five words of a text."""
    words = text.split()
    return set(zip(*(words[first:] for first in range(RUN)), strict=False))


def copied(texts: list[str], kinds: list[str], sources: list[str]) -> set[int]:
    """Return the clean documents of which near-copies were made, by number."""
    first: dict[tuple[str, tuple[str, ...]], int] = {}
    for number, (text, kind, source) in enumerate(zip(texts, kinds, sources, strict=True)):
        if kind == "clean":
            for run in runs(text):
                first.setdefault((source, run), number)
    found = set()
    for text, kind, source in zip(texts, kinds, sources, strict=True):
        if kind != "near":
            continue
        own = runs(text)
        met = Counter(first[source, run] for run in own if (source, run) in first)
        if met and met.most_common(1)[0][1] > LEAST_SHARED * len(own):
            found.add(met.most_common(1)[0][0])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pool", type=Path, required=True)
    texts, kinds, sources = pool(parser.parse_args().pool, 1.0)
    originals = copied(texts, kinds, sources)
    clean = [number for number, kind in enumerate(kinds) if kind == "clean"]
    alone = [number for number in clean if number not in originals]
    junk = [kind for kind in sorted(set(kinds)) if kind != "clean"]
    print(f"{len(texts)} documents, {len(clean)} clean, {len(originals)} of them copied")
    print("counted".ljust(32), *junk, sep="\t")
    every = list(range(len(texts)))
    for name, counted, beside in (
        ("the pool", every, clean),
        ("clean documents", clean, clean),
        ("clean ones that were not copied", alone, alone),
    ):
        bits = Ngrams(list(dict.fromkeys(texts[number] for number in counted))).bits(texts)
        cells = [_auc(bits, beside, [n for n in every if kinds[n] == kind]) for kind in junk]
        print(name.ljust(32), *(f"{cell:.3f}" for cell in cells), sep="\t")


def _auc(bits: Any, clean: list[int], junk: list[int]) -> float:
    return float(area_under_curve(-bits[np.array(clean)], -bits[np.array(junk)]))


if __name__ == "__main__":
    main()
