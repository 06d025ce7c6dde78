"""What groups of near-duplicates and commonness see of a pool whose junk is known, and their cost.

    python benchmarks/components_of_diversity.py POOL LABELS

POOL holds a folder of gzipped JSON lines for each source, LABELS is a JSON file of the kind of each
id. Prints, for each similarity, groups, the share of each kind in groups, and how often a clean
document scores above one of the kind; and seconds of a core.
"""

import argparse
import gzip
import json
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from samplemix_dagster.core.diversity.grams.commonness import gram_counts, log_commonness
from samplemix_dagster.core.diversity.grams.ngrams import document_grams
from samplemix_dagster.core.diversity.near.groups import group_texts
from samplemix_dagster.core.diversity.near.sketches import sketches_of
from samplemix_dagster.core.hashing import doc_id, id_words

SIMILARITIES = (0.4, 0.5, 0.6, 0.7)
ORDER = 5


def read_pool(pool: Path, labels: Path) -> tuple[list[str], npt.NDArray[np.str_]]:
    """Return the texts of a pool and the kind of each."""
    kind_of = json.loads(labels.read_text(encoding="utf-8"))
    texts, kinds = [], []
    for file in sorted(pool.glob("*/*.jsonl.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                texts.append(row["text"])
                kinds.append(kind_of[row["id"]])
    return texts, np.array(kinds)


def clean_above(scores: npt.NDArray[np.float64], kinds: npt.NDArray[np.str_]) -> dict[str, float]:
    """Return the area under the curve, clean against each kind of junk; ties count half."""
    clean, found = scores[kinds == "clean"], {}
    for kind in sorted({*kinds.tolist()} - {"clean"}):
        junk = scores[kinds == kind]
        ranks = rankdata(np.concatenate((clean, junk)))[: len(clean)]
        wins = ranks.sum() - len(clean) * (len(clean) + 1) / 2
        found[kind] = round(float(wins / (len(clean) * len(junk))), 3)
    return found


def main() -> None:
    """Print it all, a JSON line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pool", type=Path)
    parser.add_argument("labels", type=Path)
    args = parser.parse_args()
    texts, kinds = read_pool(args.pool, args.labels)
    hashes = id_words([doc_id(text) for text in texts])[:, 0]
    sketches_of(document_grams(texts[:1], n=ORDER))  # compiled before it is timed
    grams = document_grams(texts, n=ORDER)
    began = time.process_time()
    sketches = sketches_of(grams)
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    sketched = time.process_time() - began
    print(json.dumps({"megabytes": round(megabytes, 1), "sketch_seconds": round(sketched, 2)}))
    for least in SIMILARITIES:
        began = time.process_time()
        groups = group_texts(hashes, sketches, least)
        near = groups.near(hashes, sketches)
        spent = time.process_time() - began
        grouped = {
            kind: round(float((near.sizes[kinds == kind] > 1).mean()), 3)
            for kind in sorted({*kinds.tolist()})
        }
        told = {"similarity": least, "group_seconds": round(spent, 2), "in_groups": grouped}
        told |= {"groups": len(groups.largest), "largest": [n for _, n in groups.largest[:3]]}
        print(json.dumps({**told, "near_score": clean_above(near.scores, kinds)}))
    began = time.process_time()
    logs = log_commonness(grams, gram_counts([grams]))
    spent = time.process_time() - began
    scores = -np.nan_to_num(logs, nan=float(np.nanmedian(logs)))
    print(json.dumps({"seconds": round(spent, 2), "commonness": clean_above(scores, kinds)}))


if __name__ == "__main__":
    main()
