"""A dirty pool: the texts of a folder with junk mixed in, and a label for each document.

With it anybody sees whether a choice of documents sees junk. What the junk is like is said in
``core/junk``; here texts are found as ``samplemix init`` finds them, read as a run reads them,
source by source, and the pool is written. No clock, path or order of files goes into it.
"""

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from samplemix_dagster.cli.start.init import Found, FoundSource, describe, describe_files
from samplemix_dagster.config.around import S3
from samplemix_dagster.config.corpus import Corpus, Source
from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.core.junk.pool import Asked, Labelled, mix_source
from samplemix_dagster.core.junk.table import CLEAN, DEFAULT_WEIGHTS, KINDS
from samplemix_dagster.errors import ConfigError, InputError
from samplemix_dagster.storage.corpus.places.files import Files
from samplemix_dagster.storage.corpus.rows import ReadRules
from samplemix_dagster.storage.corpus.shards import Document, read_shard, text_problem
from samplemix_dagster.storage.formats.names import POOL_ABOUT, POOL_LABELS
from samplemix_dagster.storage.lake.whole_files import filled
from samplemix_dagster.storage.s3.bucket import Connection

LABELS = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("made_from", pa.string()),
        pa.field("original_id", pa.string()),
        pa.field("num_characters", pa.int64(), nullable=False),
    ]
)
"""Columns of ``labels.parquet``: one row a document, by (source, id)."""
_SHARD_CHARACTERS = 20_000_000
_PACKING = 6
"""How hard gzip tries: what is gained above takes three times as long."""


@dataclass(slots=True)
class Counted:
    """How many documents there are, of how many characters."""

    num_documents: int = 0
    num_characters: int = 0

    def add(self, num_characters: int) -> None:
        """Count one more."""
        self.num_documents += 1
        self.num_characters += num_characters


@dataclass(slots=True)
class DirtySource:
    """What one source of a pool has.

    Attributes:
        kinds: Counts by label, in the order of the table of kinds; zeros where a kind went short.
        rejected: Rows of the folder's files that were no documents, by reason.
    """

    kinds: Mapping[str, Counted]
    rejected: Mapping[str, int]

    @property
    def share(self) -> float:
        """The share of its characters that is junk."""
        total = sum(counted.num_characters for counted in self.kinds.values())
        return 1 - self.kinds[CLEAN].num_characters / total


@dataclass(slots=True)
class DirtyPool:
    """What was asked and what came of it."""

    asked: Asked
    sources: dict[str, DirtySource] = field(default_factory=dict)
    digest: str = ""
    """Of every document's source, id, label and text, by (source, id): 32 hexadecimal digits."""

    @property
    def kinds(self) -> dict[str, Counted]:
        """Counts of the whole pool by label."""
        total = _none(self.asked)
        for source in self.sources.values():
            for kind, counted in source.kinds.items():
                total[kind].num_documents += counted.num_documents
                total[kind].num_characters += counted.num_characters
        return total

    def to_json(self) -> dict[str, object]:
        """Return it as ``dirty.json`` has it."""
        whole = DirtySource(kinds=self.kinds, rejected={})
        return {
            "asked": {
                "share": self.asked.share,
                "weights": dict(self.asked.weights),
                "seed": self.asked.seed,
                "documents": self.asked.documents,
            },
            "share": round(whole.share, 6),
            "kinds": _counts(self.kinds),
            "sources": {
                name: {
                    "share": round(source.share, 6),
                    "kinds": _counts(source.kinds),
                    "rejected": dict(source.rejected),
                }
                for name, source in self.sources.items()
            },
            "digest": self.digest,
        }


def _none(asked: Asked) -> dict[str, Counted]:
    return {kind: Counted() for kind in (CLEAN, *KINDS) if kind == CLEAN or asked.weights.get(kind)}


def _counts(kinds: Mapping[str, Counted]) -> dict[str, dict[str, int]]:
    return {
        kind: {
            "num_documents": counted.num_documents,
            "num_characters": counted.num_characters,
        }
        for kind, counted in kinds.items()
    }


def weights_of(kinds: str | None, weights: str | None) -> dict[str, float]:
    """Return the weight of each kind, as two options of the command say it.

    Args:
        kinds: Names with commas between; None: every kind.
        weights: ``name=number`` with commas between; a kind that is not named has its default.

    Raises:
        ConfigError: A name is unknown or was left out, or a number is none.
    """
    names = list(KINDS) if kinds is None else [name.strip() for name in kinds.split(",")]
    found = {name: DEFAULT_WEIGHTS.get(name, 1.0) for name in names}
    for part in weights.split(",") if weights else []:
        name, _, number = (word.strip() for word in part.partition("="))
        if name in KINDS and name not in found:
            raise ConfigError(f"--weights names {name!r}, which --kinds leaves out.")
        try:
            found[name] = float(number)
        except ValueError:
            raise ConfigError(
                f"--weights is KIND=NUMBER with commas between, and {part.strip()!r} is none."
            ) from None
    return found


def make_dirty(place: str, out: Path, asked: Asked) -> DirtyPool:
    """Write a dirty pool made of the texts at a place; it appears whole or not at all.

    Args:
        place: A folder, a glob, a file or a URL.
        out: A folder that is not there, or is empty.
        asked: What is wanted.

    Raises:
        ConfigError: The folder has something in it, or lies among what is read.
        InputError: There is no text, a source has no document, or a kind cannot be made of it.
        LakeError: It cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is not empty; a dirty pool is written to a folder of its own.")
    here = Path.cwd()
    is_folder = "://" in place or Path(place).is_dir()
    if is_folder and "://" not in place and out.resolve().is_relative_to(Path(place).resolve()):
        raise ConfigError(f"{out} lies in {place}, and would be read as a source of it next time.")
    found = describe(place, here) if is_folder else describe_files(place, here)
    with filled(out, POOL_ABOUT) as folder:
        return _write(found, folder, asked, Files(here, Connection(S3())))


def _write(found: Found, folder: Path, asked: Asked, files: Files) -> DirtyPool:
    pool = DirtyPool(asked)
    digest = hashlib.blake2b(digest_size=16)
    labels = []
    for source in sorted(found.sources, key=lambda source: source.name):
        rules = rules_of(source)
        texts, rejected = _read(source, rules, files)
        mixed = mix_source(
            source.name,
            texts,
            asked,
            lambda text, rules=rules: text_problem(text, rules) is None,  # type: ignore[misc]
        )
        _write_shards(mixed, folder / source.name)
        table = _labels(source.name, mixed)
        for row in table.select(["source", "id", "kind", "doc_id"]).to_pylist():
            digest.update("\0".join(row.values()).encode() + b"\n")
        labels.append(table)
        pool.sources[source.name] = DirtySource(
            kinds=_by_kind(mixed, asked), rejected=dict(sorted(rejected.items()))
        )
    pq.write_table(pa.concat_tables(labels), folder / POOL_LABELS, compression="zstd")
    pool.digest = digest.hexdigest()
    about = json.dumps(pool.to_json(), indent=1, ensure_ascii=False)
    (folder / POOL_ABOUT).write_text(about + "\n", encoding="utf-8")
    return pool


def rules_of(source: FoundSource) -> ReadRules:
    """Return the rules by which a run would read a source that ``init`` has written."""
    stated = Source(path=list(source.paths), text=source.text, id=source.id or "id")
    return ReadRules.of(Corpus(sources={source.name: stated}), stated)


def _read(
    source: FoundSource, rules: ReadRules, files: Files
) -> tuple[list[tuple[str | None, str]], Counter[str]]:
    """Return a source's documents as (own id, text), and how many rows are none, by reason."""
    texts: list[tuple[str | None, str]] = []
    rejected: Counter[str] = Counter()
    for path in sorted(source.files):
        for row in read_shard(files.at(path), rules):
            if isinstance(row, Document):
                texts.append((row.id, row.text))
            else:
                rejected[row.reason] += row.num_rows
    if not texts:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(rejected.items()))
        raise InputError(
            f"source {source.name} has no document: of the {len(source.files)} files in "
            f"{source.folder}, {reasons}. Take it out, or name the others by a glob."
        )
    return texts, rejected


def _by_kind(mixed: Iterable[Labelled], asked: Asked) -> dict[str, Counted]:
    kinds = _none(asked)
    for text in mixed:
        kinds[text.kind].add(len(text.text))
    return kinds


def _labels(source: str, mixed: Sequence[Labelled]) -> pa.Table:
    return pa.table(
        {
            "source": [source] * len(mixed),
            "id": [text.id for text in mixed],
            "doc_id": [doc_id(text.text) for text in mixed],
            "kind": [text.kind for text in mixed],
            "made_from": [text.made_from for text in mixed],
            "original_id": [text.original_id for text in mixed],
            "num_characters": [len(text.text) for text in mixed],
        },
        schema=LABELS,
    )


def _write_shards(mixed: Sequence[Labelled], folder: Path) -> None:
    """Write a source's documents, about 20 million characters a file, without a time in it."""
    folder.mkdir()
    for number, texts in enumerate(_in_shards(mixed)):
        lines = (
            json.dumps({"id": text.id, "text": text.text}, ensure_ascii=False) for text in texts
        )
        path = folder / f"part-{number:05d}.jsonl.gz"
        with (
            path.open("wb") as file,
            gzip.GzipFile("", "wb", _PACKING, fileobj=file, mtime=0) as packed,
        ):
            packed.writelines(line.encode() + b"\n" for line in lines)


def _in_shards(mixed: Iterable[Labelled]) -> Iterator[list[Labelled]]:
    shard: list[Labelled] = []
    num_characters = 0
    for text in mixed:
        shard.append(text)
        num_characters += len(text.text)
        if num_characters >= _SHARD_CHARACTERS:
            yield shard
            shard, num_characters = [], 0
    if shard:
        yield shard
