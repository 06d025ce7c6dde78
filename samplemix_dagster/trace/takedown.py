"""What was taken down, looked back at: what a list names, and which versions and exports hold it.

A version is asked by its own ledger and by the documents that it was drawn from, so that one whose
shards have gone since answers too. How absence is proven is in ``takedown_proof.py``.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.project import Project
from samplemix_dagster.stages.exclusions.takedown import takedown_file
from samplemix_dagster.stages.mixture.published.mixture_manifest import read_traced
from samplemix_dagster.storage.corpus.manifest import ledger_file
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.takedown_entries import Entry
from samplemix_dagster.storage.takedowns import Takedowns, read_takedowns
from samplemix_dagster.trace.exports.exported import SHOWN, Exported, Row, draws_of
from samplemix_dagster.trace.versions import list_versions

Key = tuple[str, str]


def listed(project: Project) -> Takedowns:
    """Return a project's list of what was taken down; an empty one where there is none."""
    return read_takedowns(takedown_file(project))


def matches(project: Project, named: Takedowns) -> tuple[dict[Key, set[str]], int]:
    """Return the documents that each entry names, and how many shards could not be asked.

    Asked are the documents of the corpus that have been read; shards that are new are not.
    """
    recipes, num_unread = Recipes(project), 0
    found: dict[Key, set[str]] = {key: set() for key in named.by_key}
    for shard in project.readable_shards():
        key = recipes.feature_key(DOCUMENTS, shard)
        if not project.lake.exists(key):
            num_unread += 1
            continue
        documents = project.lake.read_table(key, list(named.columns))
        for doc_id, entries in named.among(documents, shard.source):
            for entry in entries:
                found[entry.key].add(doc_id)
    return found, num_unread


class Holdings:
    """Which versions hold what a list names; tables of documents are read once."""

    def __init__(self, project: Project, named: Takedowns) -> None:
        """Take a project, and a list."""
        self.project, self.named = project, named
        self._known: dict[tuple[str, str], dict[str, Entry]] = {}

    def of_version(self, name: str, version: str) -> dict[str, Row]:
        """Return the documents that a version draws although they are named, by id.

        Each has ``doc_id``, ``source``, ``copies``, ``num_tokens``, and what named it.
        """
        if not self.named.entries:
            return {}
        manifest = read_traced(self.project, name, version)
        folder = keys.version_folder(name, version)
        found: dict[str, Row] = {}
        for shard in manifest["shards"]:
            named = self._named(manifest, shard)
            if not named:
                continue
            table = self.project.lake.read_table(
                f"{folder}/{ledger_file(shard['source'], shard['digest'])}",
                ["doc_id", "copies", "num_tokens"],
            )
            table = table.filter(pc.greater(table["copies"], 0))
            for row in table.filter(pc.is_in(table["doc_id"], pa.array(list(named)))).to_pylist():
                entry = named[row["doc_id"]]
                by = {"what": entry.what, "value": entry.value, "reason": entry.reason}
                found[row["doc_id"]] = {**row, "source": shard["source"], **by}
        return found

    def _named(self, manifest: Mapping[str, Any], shard: Mapping[str, Any]) -> dict[str, Entry]:
        """Return the documents of a version's shard that are named, by id."""
        folder = manifest["features"][shard["source"]][DOCUMENTS.name]["folder"]
        place = (shard["source"], f"{folder}/{shard['digest']}.parquet")
        if place not in self._known:
            documents = self.project.lake.read_table(place[1], list(self.named.columns))
            among = self.named.among(documents, shard["source"])
            self._known[place] = {doc_id: entries[0] for doc_id, entries in among}
        return self._known[place]


def held_words(project: Project, name: str, version: str) -> str:
    """Return a warning where a version draws what was taken down since; else nothing."""
    held = Holdings(project, listed(project)).of_version(name, version)
    return _held_words(len(held), sum(row["copies"] for row in held.values()))


def held_words_of_recipe(project: Project, folder: Path) -> str:
    """Return a warning where a recipe's ledger draws what was taken down here; else nothing."""
    named = listed(project)
    if not named.entries:
        return ""
    gone = {value for what, value in named.by_key if what == "id"}
    gone |= set().union(*matches(project, named)[0].values())
    ledger = ds.dataset(sorted((folder / "ledger").rglob("*.parquet"))).to_table(
        columns=["doc_id", "copies"], filter=pc.field("copies") > 0
    )
    held = ledger.filter(pc.is_in(ledger["doc_id"], pa.array(sorted(gone), pa.string())))
    return _held_words(held.num_rows, int(pc.sum(held["copies"]).as_py() or 0))


def _held_words(num_documents: int, num_draws: int) -> str:
    if not num_documents:
        return ""
    return (
        f"these files hold {num_documents:,} document{'' if num_documents == 1 else 's'} taken "
        f"down since, in {num_draws:,} draw{'' if num_draws == 1 else 's'}; `samplemix run` makes "
        "a version without them."
    )


def num_held(project: Project) -> dict[tuple[str, str], int]:
    """Return how many documents each version draws that were taken down since, where any was."""
    held = Holdings(project, listed(project))
    counts = {
        (one["name"], one["version"]): len(held.of_version(one["name"], one["version"]))
        for one in (list_versions(project) if held.named.entries else ())
    }
    return {version: count for version, count in counts.items() if count}


def holdings(project: Project, named: Takedowns) -> list[Row]:
    """Return every version that draws what a list names: documents, draws, and where they lie."""
    held, found = Holdings(project, named), list[Row]()
    for version in list_versions(project):
        documents = held.of_version(version["name"], version["version"])
        if documents:
            found.append(
                {
                    "name": version["name"],
                    "version": version["version"],
                    "is_current": version["is_current"],
                    "made_at": version["made_at"],
                    "documents": list(documents.values()),
                    "num_draws": sum(row["copies"] for row in documents.values()),
                    "exports": [
                        {"export": folder, "draws": draws}
                        for folder, exported in exports_of(project, version)
                        if (draws := _draws_among(exported, list(documents)))
                    ],
                }
            )
    return found


def exports_of(project: Project, version: Mapping[str, Any]) -> Iterator[tuple[str, Exported]]:
    """Yield each export of a version that stands in the lake, by its folder."""
    parent = keys.exports_of(version["name"], version["version"])
    for folder in sorted(project.lake.names(parent)):
        manifest = project.lake.read_json(keys.manifest_in(f"{parent}/{folder}"))
        if manifest is not None:
            place = project.lake.folder(f"{parent}/{folder}")
            yield folder, Exported(folder=place, manifest=manifest)


def _draws_among(exported: Exported, doc_ids: list[str]) -> list[Row]:
    """Return where draws of some documents lie in an export, in its order."""
    draws = draws_of(exported)
    found = draws.filter(pc.is_in(draws["doc_id"], pa.array(doc_ids)))
    return [{key: row[key] for key in SHOWN} for row in found.to_pylist()]
