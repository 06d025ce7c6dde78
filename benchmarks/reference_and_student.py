"""A reference in windows and its student on a dirty pool with labels: AUC by kind, and cost.

    samplemix dirty TEXT POOL
    python benchmarks/reference_and_student.py --reference MODEL --pool POOL --documents 3000

scores the documents of the pool with the smallest hashes, teaches a student in four folds, and
prints a JSON line for the reference, for the student on held-out documents, and for the student
with the reference where it is least sure. AUC is of low bits per byte, clean against each kind.
"""

import argparse
import gzip
import json
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from scipy.stats import rankdata

from samplemix_dagster.core.hashing import doc_id, id_words, uniforms
from samplemix_dagster.core.quality.loss.sampled_loss import sampled_losses
from samplemix_dagster.core.quality.loss.spread_windows import NUM_WINDOWS
from samplemix_dagster.core.quality.students.agreement import explained, spearman
from samplemix_dagster.core.quality.students.student import teach
from samplemix_dagster.core.quality.students.student_features import text_features
from samplemix_dagster.storage.models.files import resolve_model
from samplemix_dagster.storage.models.load import LoadedReference, load_reference

CLEAN = "clean"
RESCORED = 0.1
AT_ONCE = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference", required=True)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=3000)
    parser.add_argument("--tokens", type=int, default=128)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    reference = load_reference(
        resolve_model(arguments.reference, None, Path.cwd()), "cpu", "bfloat16"
    )
    texts, kinds = pool(arguments.pool, arguments.documents)
    words = id_words([doc_id(text) for text in texts])
    began = time.process_time()
    bits = np.concatenate(
        [
            scored(reference, texts[n : n + AT_ONCE], words[n : n + AT_ONCE], arguments.tokens)
            for n in range(0, len(texts), AT_ONCE)
        ]
    )
    asked = time.process_time()
    encoded = reference.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    counted = time.process_time()
    seen = text_features(texts, [one.ids for one in encoded])
    looked = time.process_time()
    taught = teach(seen, bits, uniforms(words, 0, "student-fold"))
    learnt = time.process_time()
    each = 1000 / len(texts)
    tell("reference", bits, bits, kinds, milliseconds=round((asked - began) * each, 1))
    tell(
        "student, held out",
        taught.held_out_N,
        bits,
        kinds,
        milliseconds=round((looked - counted) * each, 2),
        milliseconds_for_tokens=round((counted - asked) * each, 2),
        seconds_of_teaching=round(learnt - looked, 1),
    )
    is_unsure = taught.unsure_N > np.quantile(taught.unsure_N, 1 - RESCORED)
    tell("both", np.where(is_unsure, bits, taught.held_out_N), bits, kinds, rescored=RESCORED)


def pool(folder: Path, count: int) -> tuple[list[str], np.ndarray]:
    """Return the texts with the smallest hashes, each once, and their kinds."""
    labels = pq.read_table(folder / "labels.parquet", columns=["doc_id", "kind"])
    kinds = dict(zip(*(column.to_pylist() for column in labels.columns), strict=True))
    texts = {}
    for path in sorted(folder.rglob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            texts |= {doc_id(text): text for text in (json.loads(line)["text"] for line in lines)}
    ids = sorted(set(texts) & set(kinds))
    order = np.argsort(uniforms(id_words(ids), 0, "sample"))[:count]
    chosen = [ids[n] for n in order]
    return [texts[one] for one in chosen], np.array([kinds[one] for one in chosen])


def scored(
    reference: LoadedReference, texts: list[str], words: np.ndarray, tokens: int
) -> np.ndarray:
    luck = [uniforms(words, 0, f"window-{number}") for number in range(NUM_WINDOWS)]
    losses = sampled_losses(
        reference.models[0],
        reference.tokenizer,
        texts,
        np.stack(luck, axis=1),
        tokens_per_document=tokens,
        start_token_id=reference.start_token_id,
        context_tokens=1024,
        overlap_tokens=64,
    )
    return losses.bits_per_byte(losses.num_scored_bytes)


def tell(
    who: str, found: np.ndarray, wanted: np.ndarray, kinds: np.ndarray, **figures: float
) -> None:
    junk = {kind: kinds == kind for kind in sorted(set(kinds) - {CLEAN})}
    aucs = {kind: auc(found[kinds == CLEAN], found[mine]) for kind, mine in junk.items()}
    line = {
        "who": who,
        "documents": len(found),
        "r2": round(explained(found, wanted) or 0.0, 3),
        "spearman": round(spearman(found, wanted) or 0.0, 3),
        "auc": {"all": auc(found[kinds == CLEAN], found[kinds != CLEAN]), **aucs},
        **figures,
    }
    print(json.dumps(line), flush=True)


def auc(low: np.ndarray, high: np.ndarray) -> float:
    """Return P(low < high) + P(equal) / 2 (Mann-Whitney)."""
    ranks = rankdata(np.concatenate([low, high]))
    above = ranks[len(low) :].sum() - len(high) * (len(high) + 1) / 2
    return round(float(above / (len(low) * len(high))), 4)


if __name__ == "__main__":
    main()
