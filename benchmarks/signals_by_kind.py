"""What signals of references and of examples see of a dirty pool and of labels, and what they cost.

    python benchmarks/signals_by_kind.py --pool POOL --good FOLDER [--labels FOLDER] [--ends FILE]

POOL is what `samplemix dirty` or a maker with `labels.json` wrote: sources of {id, text}, labels by
id. FOLDER has clean texts that are not in the pool, a JSON lines file a source. Printed is a table
of AUC by kind (clean above it), with microseconds of a core a kilobyte. Texts are scored by the
functions that a run calls; n-grams of the pool leave each document out.

`good` is learned from clean texts of other sources than the pool's, and, beside it, from those of
the same sources.
"""

import argparse
import gzip
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pyarrow import parquet

from samplemix_dagster.core.hashing import doc_id, id_words, uniforms
from samplemix_dagster.core.quality.bootstrap import train_tokenizer
from samplemix_dagster.core.quality.bootstrap_recipe import fold_of
from samplemix_dagster.core.quality.ngram.model import Counted, NgramModel
from samplemix_dagster.core.quality.resemblance import learn_resemblance, resemblance_features
from samplemix_dagster.core.quality.students.agreement import area_under_curve, spearman

VOCABULARY, ORDER = 4096, 3
MOST_CHARACTERS = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--good", type=Path, required=True)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--ends", type=Path)
    parser.add_argument("--share", type=float, default=0.2)
    arguments = parser.parse_args()
    texts, kinds, sources = pool(arguments.pool, arguments.share)
    same, other = good(arguments.good, set(sources))
    signals = Signals(texts, same, other)
    scores = signals.of(texts, own=True)
    print(f"{len(texts)} documents, {sum(len(text) for text in texts)} characters")
    named = [kind for kind in sorted(set(kinds)) if kind != "clean"]
    print("signal".ljust(24), "all but near", *named, "us/kB", sep="\t")
    are = {kind: np.array([one == kind for one in kinds]) for kind in {*kinds}}
    most = np.array([kind not in {"clean", "near"} for kind in kinds])
    for name, found in scores.items():
        cells = [area_under_curve(found[are["clean"]], found[most])]
        cells += [area_under_curve(found[are["clean"]], found[are[kind]]) for kind in named]
        cost = f"{signals.cost[name]:.0f}"
        print(name.ljust(24), *(f"{cell:.3f}" for cell in cells), cost, sep="\t")
    print("agreement with ngram of the pool (Spearman):")
    for name, found in scores.items():
        print(name.ljust(24), spearman(found, scores["ngram of the pool"]))
    if arguments.labels:
        for name, rows in labelled(arguments.labels).items():
            with_labels(name, rows, signals.of([text for text, _ in rows], own=False))
    if arguments.ends:
        arguments.ends.write_text("\n".join(ends(texts, kinds, scores)), encoding="utf-8")


class Ngrams:
    """An n-gram reference of some texts."""

    def __init__(self, texts: list[str]) -> None:
        self.tokenizer = train_tokenizer(texts, VOCABULARY)
        counted = Counted.of(names(texts), self.tokens(texts), order=ORDER, vocabulary=VOCABULARY)
        self.model = NgramModel(counted, order=ORDER, vocabulary=VOCABULARY)

    def tokens(self, texts: list[str]) -> list[Any]:
        """Return the tokens of each text."""
        encoded = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array(one.ids, dtype=np.uint32) for one in encoded]

    def bits(self, texts: list[str]) -> Any:
        """Return the bits per byte of each text, left out where it was counted."""
        num_bytes = np.array([len(text.encode()) for text in texts])
        tokens = self.tokens(texts)
        nats = self.model.nats(tokens, self.model.own(names(texts), tokens))
        return nats / np.log(2.0) / num_bytes


def names(texts: list[str]) -> Any:
    return id_words([doc_id(text) for text in texts])[:, 0]


class Signals:
    """The signals, learned from a pool and from good texts."""

    def __init__(self, texts: list[str], same: list[str], other: list[str]) -> None:
        distinct = list(dict.fromkeys(texts))
        self.pool = Ngrams(distinct)
        self.good = {"other sources": Ngrams(other), "the same sources": Ngrams(same)}
        others = resemblance_features(distinct)
        self.like = {}
        for where, examples in (("other sources", other), ("the same sources", same)):
            from scipy.sparse import vstack

            every = vstack([resemblance_features(examples), others]).tocsr()
            is_example = np.arange(every.shape[0]) < len(examples)
            folds = fold_of(id_words([doc_id(text) for text in [*examples, *distinct]]))
            self.like[where] = learn_resemblance(every, is_example, folds)
        self.cost: dict[str, float] = {}

    def of(self, texts: list[str], *, own: bool) -> dict[str, Any]:
        """Return scores of texts, high = good; of the first texts, what they cost too."""
        kilobytes = sum(len(text.encode()) for text in texts) / 1000
        found: dict[str, Any] = {}

        def add(name: str, score: Callable[[], Any], more: float = 0.0) -> None:
            began = time.process_time()
            found[name] = score()
            if own:
                self.cost[name] = (time.process_time() - began) / kilobytes * 1e6 + more

        self.pool.bits(texts[:3])
        add("ngram of the pool", lambda: -self.pool.bits(texts))
        pool_cost = self.cost["ngram of the pool"]
        for where, model in self.good.items():
            add(f"ngram of {where}", lambda model=model: -model.bits(texts))
            mine = found[f"ngram of {where}"]
            add(
                f"contrast, {where}",
                lambda mine=mine: mine - found["ngram of the pool"],
                pool_cost + self.cost[f"ngram of {where}"],
            )
        folds = fold_of(id_words([doc_id(text) for text in texts]))
        for where, learned in self.like.items():
            add(
                f"resembles {where}",
                lambda learned=learned: learned.scores(resemblance_features(texts), folds),
            )
        return found


def pool(folder: Path, share: float) -> tuple[list[str], list[str], list[str]]:
    labels = labels_of(folder)
    texts, kinds, sources = [], [], []
    for file in sorted(folder.glob("*/*.jsonl.gz")):
        for row in lines(file):
            if uniforms(id_words([doc_id(row["text"])]), 0, "thin")[0] < share:
                texts.append(row["text"][:MOST_CHARACTERS])
                kinds.append(labels[row["id"]])
                sources.append(file.parent.name)
    return texts, kinds, sources


def labels_of(folder: Path) -> dict[str, str]:
    if (folder / "labels.parquet").is_file():
        table = parquet.read_table(folder / "labels.parquet", columns=["id", "kind"])
        return {row["id"]: row["kind"] for row in table.to_pylist()}
    found: dict[str, str] = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    return found


def good(folder: Path, inside: set[str]) -> tuple[list[str], list[str]]:
    same, other = [], []
    for file in sorted(folder.glob("*.jsonl.gz")):
        side = same if file.name.partition(".")[0] in inside else other
        side += [row["text"][:MOST_CHARACTERS] for row in lines(file)]
    return list(dict.fromkeys(same)), list(dict.fromkeys(other))


def lines(file: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") as opened:
        for line in opened:
            yield json.loads(line)


def labelled(folder: Path) -> dict[str, list[tuple[str, bool]]]:
    """Return texts with whether they are the better ones, by label set."""
    found: dict[str, list[tuple[str, bool]]] = {}
    cola = lines(folder / "cola.jsonl.gz")
    found["grammatical"] = [(row["sentence"], row["label"] in (1, "1")) for row in cola][:4000]
    spam = lines(folder / "spamassassin_test.jsonl.gz")
    found["no spam"] = [(row["text"], row["spam"] in (0, "0")) for row in spam]
    pairs = list(lines(folder / "stackexchange_vote_pairs.jsonl.gz"))
    found["better voted"] = [(row["better"], True) for row in pairs]
    found["better voted"] += [(row["worse"], False) for row in pairs]
    levels = lines(folder / "onestop_english.jsonl.gz")
    found["hard to read"] = [
        (row["text"], int(row["level"]) == 2) for row in levels if int(row["level"]) != 1
    ]
    return found


def with_labels(name: str, rows: list[tuple[str, bool]], scores: dict[str, Any]) -> None:
    is_better = np.array([better for _, better in rows])
    lengths = np.array([len(text) for text, _ in rows])
    tenth = np.searchsorted(np.quantile(lengths, np.arange(0.1, 1.0, 0.1)), lengths)
    print(f"{name}: {len(rows)} texts; AUC, and with length held in tenths")
    for signal, found in scores.items():
        parts = [
            (area_under_curve(found[is_better & mine], found[~is_better & mine]), weight)
            for part in range(10)
            if (
                weight := min(
                    (is_better & (mine := tenth == part)).sum(), (~is_better & mine).sum()
                )
            )
        ]
        held = sum(area * weight for area, weight in parts) / sum(weight for _, weight in parts)
        raw = area_under_curve(found[is_better], found[~is_better])
        print(signal.ljust(24), f"{raw:.3f}", f"{held:.3f}", sep="\t")


def ends(texts: list[str], kinds: list[str], scores: dict[str, Any]) -> Iterator[str]:
    """Yield ten documents from each end of each signal, of those over 200 characters."""
    is_long = np.array([len(text) > 200 for text in texts])
    for name, found in scores.items():
        order = [n for n in np.argsort(found) if is_long[n]]
        for which, chosen in (("lowest", order[:10]), ("highest", order[:-11:-1])):
            yield f"== {name}: {which}"
            for n in chosen:
                shown = " ".join(texts[n].split())[:160]
                yield f"{found[n]:+.3f} {kinds[n]:8} {shown}"


if __name__ == "__main__":
    main()
