"""Mutate files of every format and read them: every row is accounted for, nothing else is raised.

    python benchmarks/mutation_campaign.py [--inputs 6000] [--seed 0]

Prints one JSON line: inputs, how many were accounted for, foreign exceptions (with the first of
each kind), and the slowest. An input is accounted for when its rows are numbered without a gap, and
documents and rejected rows add up to the rows that the reader counted.
"""

import argparse
import bz2
import gzip
import io
import json
import lzma
import random
import struct
import tarfile
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from pyarrow import ipc

from samplemix_dagster.storage.corpus.rows import ReadRules
from samplemix_dagster.storage.corpus.shards import REASONS, Rejection, metadata_json, read_shard

TEXT = "A plain text about rivers, mills and old stone bridges near the sea, number"
RULES = ReadRules(
    format="auto",
    text="text",
    id="id",
    metadata=("url", "doc.lang"),
    split="file",
    min_characters=20,
    max_characters=10_000,
    max_word_characters=400,
)
SNIPPETS = [
    b'"',
    b"\n",
    b"\r",
    b"\r\n",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b",",
    b"\t",
    b"[",
    b"]",
]
SNIPPETS += [
    b"{",
    b"}",
    b"\\",
    b"NaN",
    b"null",
    b'"text":"again",',
    b"PAR1",
    b"ARROW1",
    b"\x1f\x8b",
]
SNIPPETS += [
    b"\xff" * 8,
    b"\x28\xb5\x2f\xfd",
    b"WARC/1.0\r\n",
    b"id,text\n",
    b"\xed\xa0\x80",
    b" " * 600,
]


def rows(count: int) -> list[dict[str, object]]:
    return [
        {"id": f"d{i}", "text": f"{TEXT} {i}.", "url": f"http://x/{i}", "doc": {"lang": "en"}}
        for i in range(count)
    ]


def jsonl(values: list[dict[str, object]]) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def arrow(table: pa.Table, make: object) -> bytes:
    sink = pa.BufferOutputStream()
    with make(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)
    return sink.getvalue().to_pybytes()


def parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, row_group_size=9)
    return buffer.getvalue()


def tar(values: list[dict[str, object]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for number, value in enumerate(values):
            members = {
                "txt": str(value["text"]).encode(),
                "json": b'{"url": "u"}',
                "jpg": b"\xff\xd8",
            }
            for ending, content in members.items():
                header = tarfile.TarInfo(f"d/{number}.{ending}")
                header.size = len(content)
                archive.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


def warc(values: list[dict[str, object]], kind: str) -> bytes:
    found = b""
    for value in values:
        body = str(value["text"]).encode()
        if kind == "response":
            body = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + body
        head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: u\r\nContent-Length: {len(body)}"
        found += head.encode() + b"\r\n\r\n" + body + b"\r\n\r\n"
    return found


def table_text(values: list[dict[str, object]], separator: str) -> bytes:
    lines = [separator.join(("id", "url", "text"))]
    for number, value in enumerate(values):
        text = str(value["text"])
        text = f'"{text}\n{text}"' if number % 5 == 0 else text.replace(",", "")
        lines.append(separator.join((str(value["id"]), str(value["url"]), text)))
    return "\n".join(lines).encode() + b"\n"


def originals() -> dict[str, bytes]:
    """Return one good file of each kind, by name."""
    some = rows(24)
    lines = jsonl(some)
    table = pa.Table.from_pylist(some)
    zstd = zstandard.ZstdCompressor().compress
    skipped = struct.pack("<II", 0x184D2A50, 4) + b"\0" * 4
    return {
        "a.jsonl": lines,
        "a.json": json.dumps(some).encode(),
        "b.json": json.dumps(some, indent=1).encode(),
        "c.json": "\n".join(json.dumps(value, indent=1) for value in some).encode(),
        "a.jsonl.gz": gzip.compress(lines) + gzip.compress(lines),
        "a.jsonl.zst": skipped + zstd(lines) + skipped + zstd(lines),
        "a.jsonl.bz2": bz2.compress(lines) + bz2.compress(lines),
        "a.jsonl.xz": lzma.compress(lines) + lzma.compress(lines),
        "b.jsonl": lines.decode().encode("utf-16"),
        "a.csv": table_text(some, ","),
        "a.tsv": table_text(some, "\t"),
        "a.csv.gz": gzip.compress(table_text(some, ",")),
        "a.txt": "\n\n".join(str(value["text"]) for value in some).encode(),
        "a.parquet": parquet(table),
        "a.arrow": arrow(table, ipc.new_stream),
        "b.arrow": arrow(table, ipc.new_file),
        "a.tar": tar(some),
        "a.tar.gz": gzip.compress(tar(some)),
        "a.warc": warc(some, "response"),
        "a.wet.gz": b"".join(gzip.compress(warc([value], "conversion")) for value in some),
        "a.foo": lines,
    }


def mutated(content: bytes, luck: random.Random, others: list[bytes]) -> bytes:
    """Return content with one to four changes."""
    for _ in range(luck.randint(1, 4)):
        at = luck.randrange(len(content) + 1)
        far = min(len(content), at + luck.choice([1, 8, 64, 512]))
        kind = luck.randrange(7)
        if kind == 0:
            content = content[:at]
        elif kind == 1:
            content = content[:at] + content[far:]
        elif kind == 2:
            content = content[:at] + luck.choice(SNIPPETS) + content[at:]
        elif kind == 3:
            content = content[:at] + luck.randbytes(far - at) + content[far:]
        elif kind == 4:
            content = content[:far] + content[at:]
        elif kind == 5:
            content = content + luck.choice(others)
        elif content:
            place = luck.randrange(len(content))
            flipped = content[place] ^ (1 << luck.randrange(8))
            content = content[:place] + bytes([flipped]) + content[place + 1 :]
    return content


def is_accounted(path: Path, rules: ReadRules) -> bool:
    """Whether documents and rejected rows are the rows of a file, each once."""
    number = 0
    reader = read_shard(path, rules)
    while True:
        try:
            row = next(reader)
        except StopIteration as end:
            return end.value == number
        if row.row != number:
            return False
        if isinstance(row, Rejection):
            if row.reason not in REASONS or len(row.excerpt) > 200:
                return False
            number += row.num_rows
        else:
            row.text.encode()
            metadata_json(row.metadata).encode()
            number += 1


def campaign(num_inputs: int, seed: int, folder: Path) -> dict[str, object]:
    luck = random.Random(seed)
    files = originals()
    names, others = list(files), list(files.values())
    accounted, foreign, first = 0, Counter[str](), {}
    slowest = (0.0, "")
    for number in range(num_inputs):
        name = names[number % len(names)]
        path = folder / name
        content = files[name] if number < len(names) else mutated(files[name], luck, others)
        if luck.randrange(20) == 0:
            path = folder / luck.choice(names)
        path.write_bytes(content)
        began = time.perf_counter()
        try:
            accounted += is_accounted(path, RULES)
        except Exception as error:  # noqa: BLE001 - what is looked for
            kind = f"{type(error).__name__} in {path.name.partition('.')[2]}"
            foreign[kind] += 1
            first.setdefault(kind, f"input {number}: {traceback.format_exc(limit=-3)}")
        slowest = max(slowest, (time.perf_counter() - began, f"input {number}, {path.name}"))
    return {
        "inputs": num_inputs,
        "accounted": accounted,
        "foreign_exceptions": sum(foreign.values()),
        "by_kind": dict(foreign),
        "first_of_each": first,
        "slowest_seconds": round(slowest[0], 3),
        "slowest": slowest[1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=6300)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(campaign(chosen.inputs, chosen.seed, Path(folder))))


if __name__ == "__main__":
    main()
