"""Learn the signal ``clean`` from real text and junk made of it, and say how good it is.

    python tools/learn_clean.py CORPUS [--out FILE] [--look]

CORPUS has a folder for each source; its first shard is read. Pools of several sources at several
shares of junk are made in memory by the product's own maker (``samplemix dirty``), together with
junk laid out otherwise than there: words of salad and babble on one line, and pages of short lines
of the sources themselves. Every document is measured beside the pool that it stands in, as the
product does. Near-copies are left out: they are text, and diversity's business. So are the made-up
languages of ``foreign``: whoever learns those for junk takes texts of a language that is rare in a
corpus for junk, too.

With --look nothing is written: it prints the area under the curve of sources that were not learned
from, and of kinds that were not, which is what the model is worth on the unknown.
"""

import argparse
import gzip
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.core.junk.kind import Junk
from samplemix_dagster.core.junk.kinds.from_words import Babble, Salad
from samplemix_dagster.core.junk.luck import Luck
from samplemix_dagster.core.junk.material import CleanText, Material
from samplemix_dagster.core.junk.pool import Asked, mix_source
from samplemix_dagster.core.junk.table import CLEAN, DEFAULT_WEIGHTS
from samplemix_dagster.core.junk.words import join_words, split_words
from samplemix_dagster.core.quality.clean.learning import Labelled, learn
from samplemix_dagster.core.quality.clean.measures import Counting
from samplemix_dagster.core.quality.clean.model import CleanModel

SHARES = (0.25, 0.5, 0.75)
POOL_BYTES = 2_500_000
"""Characters of clean text of a pool, its sources alike."""
MOST_OF_A_KIND = 60
LEFT_OUT = ("near", "foreign")
OUT = Path("samplemix_dagster/stages/quality/clean.json")


class OneLine:
    """Junk of another kind with all its words on one line."""

    def __init__(self, kind: Salad | Babble) -> None:
        """Take the other kind."""
        self.kind, self.name = kind, f"{kind.name} on one line"

    def make(self, material: Material, luck: Luck) -> Junk:
        """Return its words with a space between them."""
        return Junk(join_words(split_words(self.kind.make(material, luck).text)))


class ShortLines:
    """Short lines of a few of the source's texts in an order of luck: real words, nothing said."""

    name = "short lines"

    def make(self, material: Material, luck: Luck) -> Junk:
        """Return 40 to 220 lines of 9 to 59 characters."""
        few = [text.stretch for text in material.texts[:200]]
        lines = [line for text in few for line in text.splitlines() if 8 < len(line) < 60]
        if len(lines) < 20:
            lines = [" ".join(text.split()[:6]) for text in few]
        return Junk("\n".join(luck.picks("lines", lines, luck.number("count", 40, 220))))


EXTRA = (OneLine(Salad()), OneLine(Babble()), ShortLines())


@dataclass(frozen=True)
class Document:
    """A text, where it stands and what it is."""

    source: str
    text: str
    kind: str


def read(corpus: Path) -> Mapping[str, Sequence[str]]:
    """Return the texts of the first shard of each source."""
    found = {}
    for folder in sorted(path for path in corpus.iterdir() if path.is_dir()):
        with gzip.open(min(folder.glob("*.jsonl.gz")), "rt", encoding="utf-8") as lines:
            found[folder.name] = [json.loads(line)["text"] for line in lines]
    return found


def pool(texts: Mapping[str, Sequence[str]], share: float, seed: str) -> Iterator[Document]:
    """Yield the documents of a dirty pool."""
    for source, every in texts.items():
        luck = Luck("learn", seed, source)
        chosen, room = [], POOL_BYTES / len(texts)
        for place in luck.order("documents", len(every)):
            chosen.append(every[place])
            room -= min(len(every[place]), 50_000)
            if room <= 0:
                break
        asked = Asked(share=share, weights=DEFAULT_WEIGHTS, seed=seed, documents=1.0)
        found = [(str(n), text) for n, text in enumerate(chosen)]
        for one in mix_source(source, found, asked, lambda text: len(text) > 40):
            yield Document(source, one.text, one.kind)
        material = Material([CleanText(str(n), text) for n, text in enumerate(chosen)], luck)
        for kind in EXTRA:
            for number in range(max(3, round(share * len(chosen) / 5))):
                text = kind.make(material, luck.of(kind.name, number)).text
                yield Document(source, text, kind.name)


def measured(documents: Sequence[Document]) -> list[Mapping[str, float]]:
    """Return the measures of each document of a pool."""
    counting = Counting(sum(len(one.text.encode()) for one in documents))
    texts = [one.text for one in documents]
    ids = [doc_id(text) for text in texts]
    counting.add(ids, texts)
    return counting.company().measures(ids, texts)


def gather(corpus: Path) -> tuple[list[str], dict[str, Labelled]]:
    """Return the names of the measures, and the labelled documents of each pool."""
    texts = read(corpus)
    names = sorted(texts)
    halves = (names[::2], names[1::2], names, *([name] for name in names))
    found, measures = {}, []
    for number, sources in enumerate(halves):
        for share in SHARES if len(sources) > 1 else SHARES[number % 3 : number % 3 + 1]:
            seed = f"{number}-{share}"
            documents = list(pool({name: texts[name] for name in sources}, share, seed))
            rows = measured(documents)
            measures = list(rows[0])
            found[seed] = Labelled(
                values=np.array([list(row.values()) for row in rows]),
                sources=np.array([one.source for one in documents]),
                kinds=np.array([one.kind for one in documents]),
            )
    return measures, found


def say(words: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{words}\n")


def joined(pools: Sequence[Labelled]) -> Labelled:
    """Return the documents of some pools together, without near-copies."""
    every = Labelled(
        values=np.concatenate([one.values for one in pools]),
        sources=np.concatenate([one.sources for one in pools]),
        kinds=np.concatenate([one.kinds for one in pools]),
    )
    return every.select(~np.isin(every.kinds, LEFT_OUT))


def auc(model: CleanModel, documents: Labelled) -> float:
    """Return the chance that a text scores above junk."""
    odds = model.log_odds(documents.values)
    good, bad = odds[documents.is_clean], np.sort(odds[~documents.is_clean])
    low, high = np.searchsorted(bad, good, "left"), np.searchsorted(bad, good, "right")
    return float((low + high).mean() / 2 / bad.size)


def look(measures: Sequence[str], every: Labelled) -> None:
    """Print what the model is worth on sources and on kinds that it was not learned from."""
    say("source left out: all kinds, the worst kind")
    for source in np.unique(every.sources):
        here = every.sources == source
        model, rest = learn(measures, every.select(~here)), every.select(here)
        kinds = [kind for kind in np.unique(rest.kinds) if kind != CLEAN]
        by_kind = {
            kind: auc(model, rest.select((rest.kinds == kind) | rest.is_clean)) for kind in kinds
        }
        worst = min(by_kind, key=by_kind.__getitem__)
        say(f"  {source:16} {auc(model, rest):.3f}  {worst} {by_kind[worst]:.3f}")
    say("kind left out")
    for kind in np.unique(every.kinds[~every.is_clean]):
        family = np.char.startswith(every.kinds, kind.partition(" on ")[0])
        model = learn(measures, every.select(~family))
        rest = every.select((every.kinds == kind) | every.is_clean)
        say(f"  {kind:22} {auc(model, rest):.3f}")


def main() -> None:
    """Learn, and write or look."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--look", action="store_true", help="say what it is worth, write nothing")
    parser.add_argument("--without", nargs="+", default=[], help="sources that it does not see")
    asked = parser.parse_args()
    measures, pools = gather(asked.corpus)
    every = joined(list(pools.values()))
    say(f"{len(every.kinds):,} documents of {len(pools)} pools, {len(measures)} measures")
    if asked.look:
        look(measures, every)
        return
    model = learn(measures, every.select(~np.isin(every.sources, asked.without)))
    asked.out.write_text(json.dumps(model.to_json(), indent=1) + "\n", encoding="utf-8")
    say(f"{asked.out}: area under the curve {auc(model, every):.4f} on what it was learned from")


if __name__ == "__main__":
    main()
