"""The golden project: small, with everything in it that a lake can hold, and a history.

Each format of input, a rejected row of each reason, two references (one of which counts the
budget), a metric of one's own that is fitted, held and free shares, a strategy of each kind, and
three versions of each mixture: a dial was turned, a shard was rewritten, a fit was asked for again.
"""

import gzip
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import zstandard
from pyarrow import ipc

from samplemix_dagster.runs.work.run import run_project
from tests.projects import (
    ENCODER,
    jsonl,
    make_reference,
    open_project,
    packed,
    parquet,
    prose,
    read_settings,
    write_settings,
)
from tests.storage.test_shards import BAD

SOURCES = (
    "lines",
    "packed",
    "frames",
    "columns",
    "cells",
    "tabs",
    "plain",
    "arrow",
    "tar",
    "crawl",
)
_FIRST_DAY = 1_700_000_000
METRIC = '''
import numpy as np


class Relative:
    """How long a text is beside the corpus's mean."""

    name = "relative"
    version = "1"
    needs = "text"

    def summarise(self, texts):
        return {"total": np.array([sum(map(len, texts)), len(texts)])}

    def fit(self, summaries):
        characters, documents = sum(one["total"] for one in summaries)
        return {"mean": characters / documents}

    def score(self, texts, fitted):
        return np.array([1 / (1 + float(fitted["mean"]) / len(text)) for text in texts])
'''


def texts(source: str, count: int = 9) -> list[str]:
    """Return a source's documents; one of them stands in every source."""
    language = "de" if source in {"columns", "tabs"} else "en"
    own = [prose(f"{source}-{number}", language) for number in range(count - 1)]
    return [*own, prose("the same in every source")]


def rows(source: str) -> list[dict[str, Any]]:
    """Return a source's documents as rows."""
    return [
        {"id": f"{source}-{n}", "text": text, "url": f"https://example.org/{source}/{n}"}
        for n, text in enumerate(texts(source))
    ]


def _cells(source: str, between: str) -> bytes:
    lines = [between.join(("id", "text"))]
    lines += [between.join((f"{source}-{n}", f'"{t}"')) for n, t in enumerate(texts(source))]
    return ("\n".join(lines) + "\n").encode()


def _arrow(source: str) -> bytes:
    table = pa.Table.from_pylist(rows(source))
    sink = io.BytesIO()
    with ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _tar(source: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for number, text in enumerate(texts(source)):
            member = tarfile.TarInfo(f"{number:03}.txt")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def _crawl(source: str) -> bytes:
    records = b""
    for number, text in enumerate(texts(source)):
        body = text.encode()
        head = [
            "WARC/1.0",
            "WARC-Type: conversion",
            f"WARC-Target-URI: https://example.org/{number}",
            "Content-Type: text/plain",
            f"Content-Length: {len(body)}",
        ]
        records += "\r\n".join([*head, "", ""]).encode() + body + b"\r\n\r\n"
    return records


def shards() -> dict[str, bytes]:
    """Return every shard: its path below ``data/`` and its bytes."""
    return {
        "lines/a.jsonl": jsonl(rows("lines")),
        "packed/year=2020/a.jsonl.gz": packed(jsonl(rows("packed"))),
        "frames/a.jsonl.zst": zstandard.ZstdCompressor().compress(jsonl(rows("frames"))),
        "columns/a.parquet": parquet(rows("columns")),
        "cells/a.csv": _cells("cells", ","),
        "tabs/a.tsv": _cells("tabs", "\t"),
        "plain/a.txt": "\n\n".join(texts("plain")).encode(),
        "arrow/a.arrow": _arrow("arrow"),
        "tar/a.tar": _tar("tar"),
        "crawl/a.warc.gz": gzip.compress(_crawl("crawl"), mtime=0),
    }


def bad_shards() -> dict[str, bytes]:
    """Return one shard for each reason for which a row is rejected, but of a folder."""
    found: dict[str, bytes] = {}
    seen: set[str] = set()
    for name, content, outcomes in BAD:
        new = set(outcomes) - seen - {"document"}
        if new and "." in name and not name.endswith((".foo", ".zip")):
            seen |= new
            found[f"bad/{name}"] = content
    return found


def settings() -> dict[str, Any]:
    """Return the configuration."""
    sources: dict[str, Any] = {name: {"path": f"data/{name}/*"} for name in SOURCES}
    sources["packed"]["path"] = "data/packed/*/*"
    sources["packed"]["metadata"] = ["url", "year"]
    sources["plain"]["split"] = "blank_line"
    sources["bad"] = {"path": "data/bad/*"}
    return {
        "corpus": {"sources": sources, "max_characters": 1000},
        "references": {
            "main": {"model": "models/main"},
            "counting": {
                "bootstrap": {"tokens": 2000, "vocabulary": 300, "layers": 1, "width": 32}
            },
        },
        "tokenizer": {"reference": "counting"},
        "encoder": {"model": ENCODER, "max_tokens": 16},
        "quality": {"overlap_tokens": 16},
        "diversity": {
            "clusters": {"sample": 100, "micro": 20},
            "topics": {"sample": 100, "count": 3},
            "metrics": {"relative": "relative:Relative"},
            "refit": {"drift": 0.3},
        },
        "mixtures": {
            "default": {"budget_tokens": 5000},
            "flat": {"budget_tokens": 4000, "strategy": "proportional", "seed": 7},
            "held": {
                "budget_tokens": 5000,
                "balance": {"quality": 1.5, "diversity": 0.5},
                "shares": {"lines": 0.4, "columns": 0.4, "crawl": 0.2},
            },
        },
        "export": {"files": 2},
        "compute": {"device": "cpu", "dtype": "float32", "workers": 1},
    }


def _write(path: Path, content: bytes, seconds: int) -> None:
    """Write a file of whole seconds: an archive keeps no finer time, and times are compared."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (seconds, seconds))


def write_project(root: Path) -> None:
    """Write shards, models, the metric and the configuration; nothing is run.

    Models that lie there already stay: their weights are floats, and another machine trains others.
    """
    for name, content in {**shards(), **bad_shards()}.items():
        _write(root / "data" / name, content, _FIRST_DAY)
    for name in ("main", "other"):
        if not (root / "models" / name).exists():
            make_reference(root / "models" / name, name)
    (root / "relative.py").write_text(METRIC)
    write_settings(root, settings())


def run_history(root: Path) -> None:
    """Give each mixture three versions."""
    run_project(open_project(root))
    changed = read_settings(root)
    changed["mixtures"]["default"]["balance"] = {"quality": 2.0}
    changed["mixtures"]["flat"]["budget_tokens"] = 4500
    write_settings(root, changed)
    rewritten = rows("lines")
    rewritten[3]["text"] = prose("a text that nobody has seen before")
    _write(root / "data/lines/a.jsonl", jsonl(rewritten), _FIRST_DAY + 86_400)
    run_project(open_project(root))
    changed["references"]["main"]["model"] = "models/other"
    write_settings(root, changed)
    project = open_project(root)
    project.refits = {"clusters"}
    run_project(project)
