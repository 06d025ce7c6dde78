"""What a mixture version holds, counted from its ledger and from the documents it was drawn from.

Nothing is taken from the configuration as it is today, nor from files of the sources: a paper says
of a version what the version's own tables say, whenever it is written.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from samplemix_dagster.core.licences import spdx
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.project import Project
from samplemix_dagster.stages.mixture.published.mixture_manifest import read_traced
from samplemix_dagster.storage.corpus.manifest import ledger_file
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.urls import hosts_of

UNSTATED = "not stated"
_LICENCES = ("license", "licence")
_UNSAID = frozenset(
    {"", "-", "?", "n/a", "na", "nan", "noassertion", "none", "null", "unknown", "unspecified"}
)
"""What stands where no licence is stated."""
_DATES = ("date", "created")
_COUNTS = ("documents", "documents_drawn", "draws", "tokens", "tokens_drawn")


@dataclass(slots=True)
class Part:
    """Counts of some documents: of a source, a language, a licence or a domain."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, copies: int, num_tokens: int) -> None:
        """Count a document."""
        self.counts["documents"] += 1
        self.counts["documents_drawn"] += copies > 0
        self.counts["draws"] += copies
        self.counts["tokens"] += num_tokens
        self.counts["tokens_drawn"] += copies * num_tokens

    def to_json(self) -> dict[str, int]:
        """Return the counts by name."""
        return {name: self.counts[name] for name in _COUNTS}


@dataclass(frozen=True)
class Facts:
    """What a version holds; duplicates of a text count once."""

    manifest: Mapping[str, Any]
    parts: Mapping[str, Mapping[str, Part]]
    """By kind (``source``, ``language``, ``licence``, ``domain``, ``source licence``), by name."""
    first_date: str | None
    last_date: str | None
    """The earliest and latest date or creation of a drawn document, as written, if it is ISO."""
    num_undated: int
    """Drawn documents without one."""

    def drawn(self, kind: str) -> list[tuple[str, Part]]:
        """Return the parts of which something is drawn, the most tokens first."""
        found = [(name, part) for name, part in self.parts[kind].items() if part.counts["draws"]]
        return sorted(found, key=lambda one: (-one[1].counts["tokens_drawn"], one[0]))

    @property
    def tokens_drawn(self) -> int:
        """Tokens of all draws."""
        return sum(part.counts["tokens_drawn"] for part in self.parts["source"].values())

    def to_json(self) -> dict[str, object]:
        """Return a JSON value."""
        return {
            "name": self.manifest["name"],
            "version": self.manifest["version"],
            **{
                kind.replace(" ", "_"): {name: part.to_json() for name, part in self.drawn(kind)}
                for kind in self.parts
            },
            "excluded": self.manifest["report"].get("excluded", {}),
            "first_date": self.first_date,
            "last_date": self.last_date,
            "num_undated": self.num_undated,
        }


def facts_of(project: Project, name: str, version: str) -> Facts:
    """Return what a version holds.

    Raises:
        LakeError: A table of the version is gone or damaged.
    """
    manifest = read_traced(project, name, version)
    kinds = ("source", "language", "licence", "domain", "source licence")
    parts: dict[str, dict[str, Part]] = {kind: {} for kind in kinds}
    dates: list[str] = []
    num_undated = 0
    for row in _rows(project, manifest):
        metadata = json.loads(row["metadata"] or "{}")
        licence = licence_of(metadata)
        labels = {
            "source": row["source"],
            "language": row["language"],
            "licence": licence,
            "source licence": f"{row['source']}: {licence}",
        }
        hosts = list(dict.fromkeys(hosts_of(row["id"], row["metadata"])))
        if hosts:
            labels["domain"] = hosts[0]
        for kind, label in labels.items():
            parts[kind].setdefault(label, Part()).add(row["copies"], row["num_tokens"])
        if row["copies"]:
            date = _date_of(metadata)
            num_undated += date is None
            if date is not None:
                dates = [min([date, *dates]), max([date, *dates])]
    return Facts(
        manifest=manifest,
        parts=parts,
        first_date=dates[0] if dates else None,
        last_date=dates[-1] if dates else None,
        num_undated=num_undated,
    )


def _rows(project: Project, manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield each document of a version, without duplicates: its draws, and what is kept of it."""
    folder = keys.version_folder(manifest["name"], manifest["version"])
    for shard in manifest["shards"]:
        source, digest = shard["source"], shard["digest"]
        ledger = project.lake.read_table(
            f"{folder}/{ledger_file(source, digest)}", ["doc_id", "num_tokens", "copies", "reason"]
        )
        features = manifest["features"][source]
        documents = project.lake.read_table(
            f"{features[DOCUMENTS.name]['folder']}/{digest}.parquet",
            ["doc_id", "id", "language", "metadata"],
        )
        if not ledger["doc_id"].equals(documents["doc_id"]):
            raise project.lake.damage(
                f"{folder}/{ledger_file(source, digest)}", "its rows are not those of the documents"
            )
        joined = zip(ledger.to_pylist(), documents.to_pylist(), strict=True)
        yield from (
            {**drawn, **known, "source": source}
            for drawn, known in joined
            if drawn["reason"] != "duplicate"
        )


def licence_of(metadata: Mapping[str, Any]) -> str:
    """Return a document's licence: its SPDX identifier, else what is written, else that none is."""
    for name in _LICENCES:
        written = metadata.get(name)
        if isinstance(written, str) and written.strip().lower() not in _UNSAID:
            return spdx(written) or " ".join(written.split())[:80]
    return UNSTATED


def _date_of(metadata: Mapping[str, Any]) -> str | None:
    """Return a document's day, if one is written as ISO 8601 has it."""
    for name in _DATES:
        written = metadata.get(name)
        day = str(written)[:10] if isinstance(written, str) else ""
        if len(day) == 10 and day[4] == day[7] == "-" and day.replace("-", "").isdigit():
            return day
    return None
