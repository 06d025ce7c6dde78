"""Maker of a small lake with made-up numbers: no text, no model, no run.

It has what a finished run leaves for the views and the report: two sources of two shards each,
forty document occurrences with three duplicates among them, a few rejected rows, two mixtures. The
numbers come from short formulas, so that a test can work them out again.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samplemix_dagster import tables
from samplemix_dagster.stages.outside.labels import LABEL
from samplemix_dagster.storage.corpus.manifest import Manifest, Shard, manifest_key
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.table_contract import Table
from tests.judged import found_of

Row = dict[str, Any]

NUM_OCCURRENCES = 40
SHARDS = {"books": ("books/a.jsonl", "books/b.jsonl"), "web": ("web/a.jsonl", "web/b.jsonl")}
CLUSTERS = ("sea boat tide", "law court judge", "oven butter flour")
TOPICS = ("stars", "woods")
MIXTURES = ("default", "proportional")
JUDGED_ARMS = ("clean", "clean~shares", "mine", "mine~shares", "proportional")
JUDGED_SEEDS = 2
_NUM_BOOKS = 16
_TEXTS_AGAIN = {37: 0, 38: 20, 39: 0}
"""Occurrences whose text stands earlier: occurrence -> the first one of its text."""
_RECIPE = {"stage": "made up"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeLake:
    """The lake, and what was written into it as plain rows."""

    lake: Lake
    documents: list[Row]
    """Every occurrence with its scores; ``is_duplicate`` says whether it counts."""
    rejections: list[Row] = field(default_factory=list)
    ledgers: dict[str, list[Row]] = field(default_factory=dict)

    def counted(self, mixture: str) -> list[Row]:
        """Return a mixture's ledger without its duplicates."""
        return [row for row in self.ledgers[mixture] if row["reason"] != "duplicate"]


def make_fake_lake(root: Path, *, is_clean: bool = False) -> FakeLake:
    """Write a lake below a folder and return it.

    Args:
        root: The lake's folder.
        is_clean: Without duplicates and rejected rows.
    """
    documents = _documents({} if is_clean else _TEXTS_AGAIN)
    fake = FakeLake(
        lake=Lake(root),
        documents=documents,
        rejections=[] if is_clean else _rejections(),
        ledgers={name: _ledger(name, documents) for name in MIXTURES},
    )
    _write_shards(fake)
    _write_fits(fake)
    for name in MIXTURES:
        write_mixture(fake, name)
    write_evaluation(fake.lake)
    return fake


def write_evaluation(lake: Lake) -> dict[str, Any]:
    """Write a result with its losses, two texts a training, and make it the last; return it."""
    found = found_of({"mine": (0.02, 0.01, 0.03)}, seeds=JUDGED_SEEDS)
    for one in found["trainings"]:
        nats = 5.0 * JUDGED_ARMS.index(one["arm"]) + one["seed"] / 2
        rows = [
            {"group": "prose", "doc_id": f"{text:032x}", "num_bytes": 50, "nats": nats + text / 2}
            for text in range(2)
        ]
        _write(lake, keys.evaluation_losses(one["address"]), tables.LOSSES, rows)
    lake.write_json(keys.evaluation_overlaps(found["overlaps"]), {"shares": [0.0, 0.0]})
    lake.write_json(keys.evaluation_result(found["evaluation"]), found)
    lake.replace_json(keys.CURRENT_EVALUATION, {"evaluation": found["evaluation"]})
    return found


def write_mixture(fake: FakeLake, name: str, version: str = "1") -> None:
    """Write a mixture's ledger as it stands in ``fake.ledgers``, and make that version current."""
    rows = fake.ledgers[name]
    folder = f"mixtures/{name}/{version}"
    realised = sum(row["copies"] * row["num_tokens"] for row in rows)
    shards = []
    for source, path in _every_shard():
        mine = [row for row in rows if row["shard"] == path]
        key = f"{folder}/ledger/{source}-{shard_digest(path)}.parquet"
        _write(fake.lake, key, tables.LEDGER, mine)
        shards.append({"source": source, "digest": shard_digest(path), "path": path})
    fake.lake.replace_json(
        f"{folder}/manifest.json",
        {
            "made_at": "2024-01-02T03:04:05+00:00",
            "report": {"budget_tokens": realised + 5, "realised_tokens": realised},
            "shards": shards,
        },
    )
    fake.lake.replace_json(f"mixtures/{name}/current.json", {"version": version})


def break_ledger(fake: FakeLake, name: str, version: str = "1") -> None:
    """Draw one document once more than the mixture's manifest says."""
    drawn = next(row for row in fake.ledgers[name] if row["copies"] > 0)
    key = f"mixtures/{name}/{version}/ledger/{drawn['source']}-{shard_digest(drawn['shard'])}"
    mine = [dict(row) for row in fake.ledgers[name] if row["shard"] == drawn["shard"]]
    next(row for row in mine if row["row"] == drawn["row"])["copies"] += 1
    fake.lake.path(f"{key}.parquet").unlink()
    _write(fake.lake, f"{key}.parquet", tables.LEDGER, mine)


def shard_digest(path: str) -> str:
    """Return the digest that a shard has here: that of its path, since there are no bytes."""
    return hashlib.blake2b(path.encode(), digest_size=16).hexdigest()


def _every_shard() -> list[tuple[str, str]]:
    return [(source, path) for source, paths in SHARDS.items() for path in paths]


def _documents(again: dict[int, int]) -> list[Row]:
    rows = [_document(number, again.get(number, number)) for number in range(NUM_OCCURRENCES)]
    seen: set[str] = set()
    for row in sorted(rows, key=lambda row: (row["source"], row["digest"], row["row"])):
        row["is_duplicate"] = row["doc_id"] in seen
        seen.add(row["doc_id"])
    return rows


def _document(number: int, text: int) -> Row:
    """Return an occurrence: its place comes from its number, all else from its text."""
    source = "books" if number < _NUM_BOOKS else "web"
    path = SHARDS[source][number % 2]
    quality = (text * 37 % 97 + 1) / 100
    diversity = (text * 53 % 89 + 1) / 100
    return {
        "doc_id": hashlib.blake2b(f"text {text}".encode(), digest_size=16).hexdigest(),
        "source": source,
        "shard": path,
        "digest": shard_digest(path),
        "row": number,
        "id": f"id-{number}" if number % 3 else None,
        "language": ("en", "en", "de", "fr")[text % 4],
        "num_bytes": 100 + text,
        "num_tokens": 20 + text * 7 % 33,
        "bits_per_byte": 1 + text * 11 % 23 / 10,
        "perplexity": 10.0 + text,
        "quality": quality,
        "cluster": text % len(CLUSTERS),
        "cluster_score": diversity / 2,
        "ngram_score": 1 - quality,
        "topic": text % len(TOPICS),
        "topic_score": diversity,
        "diversity": diversity,
    }


def _rejections() -> list[Row]:
    places = [("books", 100, "empty"), ("web", 100, "too_short"), ("web", 102, "too_short")]
    places += [("web", 101, "invalid_json")]
    return [
        {
            "source": source,
            "shard": SHARDS[source][0],
            "row": row,
            "reason": reason,
            "excerpt": f"excerpt {row}",
            "num_rows": 3 if row == 102 else 1,
        }
        for source, row, reason in places
    ]


def _ledger(mixture: str, documents: list[Row]) -> list[Row]:
    rows = []
    for number, document in enumerate(documents):
        if mixture == "proportional":
            weight, copies = 1.0, int(number % 4 == 0)
        else:
            weight = 2 * document["quality"]
            copies = int(weight > 0.8) + int(weight > 1.3) + int(weight > 1.8)
        copies = 0 if document["is_duplicate"] else copies
        reason = "duplicate" if document["is_duplicate"] else "not_drawn"
        names = ("doc_id", "source", "shard", "row", "num_tokens", "quality", "diversity")
        rows.append(
            {name: document[name] for name in names}
            | {
                "weight": weight,
                "expected_copies": 0.0 if document["is_duplicate"] else weight,
                "copies": copies,
                "reason": None if copies else reason,
            }
        )
    return rows


def _write(lake: Lake, key: str, contract: Table, rows: list[Row]) -> None:
    """Write rows; what they do not say is 0, or false, or empty."""
    nothing = {"is_noise": False, "metadata": "{}"}
    columns = {
        name: [row.get(name, nothing.get(name, 0)) for row in rows]
        for name in contract.schema.names
    }
    lake.write_table(key, contract.make(**columns), contract, _RECIPE)


def _write_shards(fake: FakeLake) -> None:
    scores = tables.scores_table()
    for source, paths in SHARDS.items():
        for path in paths:
            digest = shard_digest(path)
            mine = [row for row in fake.documents if row["shard"] == path]
            key = f"features/documents/1/{digest}"
            _write(fake.lake, f"{key}.parquet", tables.DOCUMENTS, mine)
            _write(fake.lake, f"features/scores/1/{digest}.parquet", scores, mine)
            looked = [{"doc_id": row["doc_id"], "evaluation": None, "item": None} for row in mine]
            looked[0] |= {"evaluation": "quiz", "item": 3, "share": 0.5, "num_items": 1}
            looked = [row | {"snippet": row["evaluation"]} for row in looked]
            found = f"features/contamination/1/{digest}.parquet"
            _write(fake.lake, found, tables.CONTAMINATION, looked)
            labels = [row | {"label": row["language"]} for row in mine]
            _write(fake.lake, f"features/label-kind/1/{digest}.parquet", LABEL, labels)
            rejected = [row for row in fake.rejections if row["shard"] == path]
            _write(fake.lake, f"{key}.rejected.parquet", tables.REJECTIONS, rejected)
        for stage in ("documents", "scores", "contamination", "label-kind"):
            state = {"folder": f"features/{stage}/1", "recipe": _RECIPE}
            fake.lake.replace_json(f"state/{stage}/{source}.json", state)
        shards = [Shard(path=p, digest=shard_digest(p), size=1, mtime_ns=1) for p in paths]
        manifest = Manifest(
            partition=source, shards=tuple(sorted(shards, key=lambda shard: shard.digest))
        )
        fake.lake.replace_json(manifest_key(source), manifest.to_json())


def _write_fits(fake: FakeLake) -> None:
    duplicates = [row | {"shard": row["digest"]} for row in fake.documents if row["is_duplicate"]]
    _write(fake.lake, "fits/corpus/1/duplicates.parquet", tables.DUPLICATES, duplicates)
    first = {"doc_id": fake.documents[0]["doc_id"], "reason": "takedown", "detail": "it was asked"}
    _write(fake.lake, "fits/exclusions/1/excluded.parquet", tables.EXCLUDED, [first])
    fake.lake.replace_json(
        "fits/cluster_fit/1/names.json", {str(i): name for i, name in enumerate(CLUSTERS)}
    )
    fake.lake.replace_json(
        "fits/topic_fit/1/names.json", {str(i): name for i, name in enumerate(TOPICS)}
    )
    for fit in ("corpus", "exclusions", "cluster_fit", "topic_fit"):
        fake.lake.replace_json(f"fits/{fit}/current.json", {"version": "1"})
