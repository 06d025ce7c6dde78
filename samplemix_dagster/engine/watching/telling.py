"""A finding in words, and the digest that names the settled changes."""

from collections.abc import Iterable, Mapping

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.engine.watching.findings import Finding
from samplemix_dagster.storage.corpus.manifest import source_of


def digest_of(findings: Iterable[Finding]) -> str:
    """Return what names the settled changes: the same files in the same state, the same digest."""
    state = [
        [found.partition, path, *found.sightings[path].file]
        for found in findings
        for path in sorted(found.taken)
    ]
    return fingerprint(state)


def in_words(findings: Iterable[Finding]) -> str:
    """Return the finding in a sentence: what came, changed, went, and what still moves."""
    every = list(findings)
    parts = []
    for verb in ("new", "changed", "removed"):
        counts = _by_source(every, verb)
        if counts:
            total = sum(counts.values())
            parts.append(f"{_shards(total, verb)} in {_places(counts)}")
    waiting = sum(len(found.arriving) for found in every)
    if waiting:
        be = "is" if waiting == 1 else "are"
        parts.append(f"{files_word(waiting)} {be} still being written")
    moving = sum(len(found.moving) for found in every)
    if moving:
        be = "is" if moving == 1 else "are"
        parts.append(f"{files_word(moving)} of the corpus {be} being rewritten or removed")
    touched = sum(len(found.touched) for found in every)
    if touched:
        parts.append(f"{files_word(touched)} touched, with the same content")
    parts += [found.problem for found in every if found.problem]
    if parts:
        return "; ".join(parts)
    total = sum(found.num_files for found in every)
    return f"Nothing new, changed or removed among {files_word(total)}."


def _by_source(findings: list[Finding], verb: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for found in findings:
        number = len(getattr(found, verb))
        if number:
            source = source_of(found.partition)
            counts[source] = counts.get(source, 0) + number
    return counts


def _places(counts: Mapping[str, int]) -> str:
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{source} ({number:,})" for source, number in counts.items())


def _shards(number: int, verb: str) -> str:
    return f"{number:,} {verb} shard{'' if number == 1 else 's'}"


def files_word(number: int) -> str:
    """Return so many files in words."""
    return f"{number:,} file{'' if number == 1 else 's'}"
