"""What of a corpus was lost or passed over, in sentences: nobody has to look for it.

Losses are found in what stands in the lake (documents and rejected rows of each shard) and in
today's listing of the sources, so whoever asks gets the same answer: ``run``, ``plan``, ``status``,
``mixture show`` and the asset. They change no result.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.rejected import row_counts
from samplemix_dagster.engine.watching.settling import FOLDER_MARKER, is_marker
from samplemix_dagster.errors import DamagedError, InputError
from samplemix_dagster.runs.standing.unjoined import unjoined
from samplemix_dagster.runs.standing.warned import Warned
from samplemix_dagster.storage.corpus.places.files import Unread
from samplemix_dagster.storage.corpus.scan import unread_words

FEW_DOCUMENTS = 10
"""A source with fewer documents is told: its share, its scores and its law rest on next to none."""
_SHARDS_NAMED = 3
_EMPTY = frozenset({"empty_file"})


@dataclass(slots=True)
class _Source:
    """What is known of one source."""

    num_shards: int = 0
    num_documents: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    first: str = ""
    """Where the first rejected row of the commonest reason stands."""
    barren: list[tuple[str, Counter[str]]] = field(default_factory=list)
    """Shards of which no row is a document: path, reasons."""
    truncated: list[str] = field(default_factory=list)
    firsts: dict[str, str] = field(default_factory=dict)

    @property
    def num_rejected(self) -> int:
        return sum(self.reasons.values())


def losses(recipes: Recipes) -> list[Warned]:
    """Return what was lost of each source, in the order of the configuration; then of joined files.

    Shards that were not read yet say nothing. Damage, and sources that cannot be listed, are told
    elsewhere.
    """
    found: list[Warned] = []
    for name in recipes.config.corpus.sources:
        partitions = [p for p in recipes.project.partitions if p.split(":", 1)[0] == name]
        source = _Source()
        unread: list[Unread] = []
        folders: list[str] = []
        for partition in partitions:
            try:
                listing = recipes.project.scan(partition)
                unread += listing.unread
                folders += listing.skipped
                for shard in recipes.project.shards(partition):
                    _take(recipes, source, shard)
            except (InputError, DamagedError):
                continue
        found += _of_rows(name, source, recipes.config.corpus.warn_rejected)
        found += _of_files(name, _data_like(recipes, unread), folders)
    return [*found, *unjoined(recipes)]


def _take(recipes: Recipes, source: _Source, shard: PlacedShard) -> None:
    key = recipes.feature_key(DOCUMENTS, shard)
    rejections = recipes.rejections_key(shard)
    lake = recipes.lake
    if not (lake.exists(key) and lake.exists(rejections)):
        return
    table = lake.read_table(rejections)
    reasons: Counter[str] = Counter()
    rows = zip(
        table.column("reason").to_pylist(),
        row_counts(table),
        table.column("row").to_pylist(),
        strict=True,
    )
    for reason, count, row in rows:
        reasons[reason] += count
        source.firsts.setdefault(reason, f"{shard.shard.path}#{row}")
    num_documents = lake.num_rows(key)
    source.num_shards += 1
    source.num_documents += num_documents
    source.reasons += reasons
    if not num_documents and not _EMPTY.issuperset(reasons):
        source.barren.append((shard.shard.path, reasons))
    if reasons["truncated"]:
        source.truncated.append(shard.shard.path)


def _of_rows(name: str, source: _Source, bound: float) -> list[Warned]:
    if not source.num_shards:
        return []
    total = source.num_documents + source.num_rejected
    shards = _count(source.num_shards, "shard")
    if not source.num_documents:
        why = f" ({_reasons(source)})" if source.reasons else ""
        words = f"{shards} read, no document{why}"
        return [Warned(kind="no_document", where=name, words=words)]
    found = []
    if source.num_rejected > bound * total:
        words = f"{source.num_rejected:,} of {total:,} rows rejected ({_reasons(source)})"
        found.append(Warned(kind="rejected", where=name, words=words))
    if source.barren:
        found.append(Warned(kind="shard", where=name, words=_barren(source.barren)))
    if source.truncated:
        words = f"{_named(source.truncated)} end in the middle; what came before is kept"
        if len(source.truncated) == 1:
            words = words.replace(" end ", " ends ", 1)
        found.append(Warned(kind="truncated", where=name, words=words))
    if source.num_documents < FEW_DOCUMENTS:
        words = f"{_count(source.num_documents, 'document')} in {shards}: too few to tell apart"
        found.append(Warned(kind="few_documents", where=name, words=words))
    return found


def _reasons(source: _Source) -> str:
    parts = [f"{count:,} {reason}" for reason, count in _most(source.reasons)]
    commonest = _most(source.reasons)[0][0]
    return f"{', '.join(parts)}, first {source.firsts[commonest]}"


def _most(reasons: Counter[str]) -> list[tuple[str, int]]:
    return sorted(reasons.items(), key=lambda item: (-item[1], item[0]))


def _barren(shards: Sequence[tuple[str, Counter[str]]]) -> str:
    shown = [
        f"{path} ({', '.join(f'{count:,} {reason}' for reason, count in _most(reasons))})"
        for path, reasons in shards[:_SHARDS_NAMED]
    ]
    more = f" and {len(shards) - _SHARDS_NAMED:,} more" if len(shards) > _SHARDS_NAMED else ""
    return f"no document in {', '.join(shown)}{more}, unlike the source's other shards"


def _named(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _SHARDS_NAMED:,} more" if len(paths) > _SHARDS_NAMED else ""
    return ", ".join(paths[:_SHARDS_NAMED]) + more


def _data_like(recipes: Recipes, unread: Sequence[Unread]) -> list[Unread]:
    """Leave out the markers by which a writer says that it is done."""
    marker = recipes.config.sensor.marker
    return [
        entry
        for entry in unread
        if not is_marker(entry.path, marker) and not entry.path.endswith(FOLDER_MARKER)
    ]


def _of_files(name: str, unread: Sequence[Unread], folders: Sequence[str]) -> list[Warned]:
    found = []
    if unread:
        found.append(Warned(kind="unread", where=name, words=f"not read: {unread_words(unread)}"))
    if folders:
        words = f"a folder stands where a shard was expected: {_named(sorted(set(folders)))}"
        found.append(Warned(kind="folder", where=name, words=words))
    return found


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
