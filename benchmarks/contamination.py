"""How much text of evaluations stands in a corpus, how many planted items are found, how fast.

    python benchmarks/contamination.py CORPUS EVALUATIONS [KNOWN]

CORPUS and EVALUATIONS are folders of `.jsonl.gz`. Items are planted into documents of the corpus in
other letters, with other punctuation and line breaks; what is planted and found is counted. KNOWN
is a JSON file of items that somebody else found in the corpus: `{"bench/name": [item, ...]}`.
"""

import gzip
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from samplemix_dagster.core.contamination.search import Index, Wanted, search, wanted_of
from samplemix_dagster.core.values import strings_in

ORDER, SHORTEST = 13, 5
PLANTED = 400


def rows(file: Path) -> Iterator[dict[str, object]]:
    """Yield the rows of a file."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def disguised(text: str, luck: random.Random) -> str:
    """Return a text in other letters, with other punctuation and line breaks between words."""
    joints = [" ", "\n", "  ", "\n\n", ", ", " - "]
    words = [luck.choice([str.upper, str.lower, str.title])(word) for word in text.split()]
    return "".join(word + luck.choice(joints) for word in words)


def main() -> None:
    """Look through a corpus, and print what is found."""
    corpus, evaluations = Path(sys.argv[1]), Path(sys.argv[2])
    known = json.loads(Path(sys.argv[3]).read_text("utf-8")) if len(sys.argv) > 3 else {}
    names: list[tuple[str, int]] = []
    wanted: list[Wanted] = []
    for file in sorted(evaluations.rglob("*.jsonl.gz")):
        name = file.relative_to(evaluations).as_posix().removesuffix(".jsonl.gz")
        for number, row in enumerate(rows(file)):
            names.append((name, number))
            wanted.append(wanted_of(strings_in(row), ORDER, SHORTEST))
    index = Index.of(wanted, ORDER)
    list(search(["warm"], index))
    texts = [str(row["text"]) for file in sorted(corpus.rglob("*.jsonl.gz")) for row in rows(file)]
    began = time.process_time()
    hits = list(search(texts, index))
    seconds = time.process_time() - began
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    print(f"{len(names):,} items, {index.grams.size:,} grams; {len(texts):,} documents")
    print(f"{megabytes:.1f} MB in {seconds:.1f} s: {megabytes / seconds:.1f} MB/s of one core")
    print(f"{len(hits):,} documents hold something\n")
    of_sets = Counter(names[hit.item][0] for hit in hits)
    whole = Counter(names[hit.item][0] for hit in hits if wanted[hit.item].is_whole)
    most = Counter(names[hit.item][0] for hit in hits if hit.share >= 0.5)
    items = Counter(name for name, _ in names)
    short = Counter(name for (name, _), one in zip(names, wanted, strict=True) if not one.parts)
    found = {names[hit.item] for hit in hits}
    print(
        "| set | items | too short | documents | of whole short items | half or more of an item |"
    )
    print("|---|--:|--:|--:|--:|--:|")
    for name, count in items.items():
        told = (count, short[name], of_sets[name], whole[name], most[name])
        print(f"| {name} | {' | '.join(f'{one:,}' for one in told)} |")
    print()
    for name, numbers in known.items():
        if items[name]:
            there = sum((name, number) in found for number in numbers)
            print(f"known items of {name}: {len(numbers)}, {there} of them best in a document")
    planted(index, wanted, texts)


def planted(index: Index, wanted: list[Wanted], texts: list[str]) -> None:
    """Plant items into documents that hold nothing, and count those that are found."""
    luck = random.Random(0)
    clean = [text for text in texts if 200 < len(text) < 20_000][:PLANTED]
    for is_whole in (False, True):
        chosen = [n for n, one in enumerate(wanted) if one.parts and one.is_whole == is_whole]
        chosen = luck.sample(chosen, min(PLANTED, len(chosen)))
        hosts = []
        for number, host in zip(chosen, clean, strict=False):
            at = luck.randrange(len(host))
            inside = disguised(wanted[number].parts[0], luck)
            hosts.append(f"{host[:at]} {inside} {host[at:]}")
        found = {hit.document for hit in search(hosts, index)}
        what = "whole short items" if is_whole else "items by their 13-grams"
        print(f"planted {what}: {len(hosts)}, found in {len(found)} documents")


if __name__ == "__main__":
    main()
