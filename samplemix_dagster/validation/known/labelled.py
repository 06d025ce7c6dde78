"""Lay the labels of a dirty pool beside a mixture version's scores and ledger.

Labels name documents by (source, id), as ``samplemix dirty`` writes them. Scores and copies are
read from the version's own tables, so that a version that is no longer current is judged by what it
was drawn from.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from samplemix_dagster.core.junk.table import CLEAN
from samplemix_dagster.core.values import spelt
from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import CheckFailedError, InputError
from samplemix_dagster.stages.mixture.published.mixture_manifest import read_traced
from samplemix_dagster.storage.corpus.manifest import ledger_file
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.outside_tables import table_of
from samplemix_dagster.validation.known.truth import JUNK, Floats, Labelled, Truth, truth_of

Labels = Mapping[tuple[str, str], str]
"""Kinds by (source, id)."""
_NAMED = ("source", "id", "kind")
_COORDINATES = ("quality", "diversity")
_COMPONENT = "_score"


def truth_of_version(
    project: Project,
    name: str,
    version: str,
    labels: Labels,
    scores: Sequence[str] | None = None,
) -> Truth:
    """Return what labels say of a version's scores and draw.

    Args:
        project: The project.
        name: The mixture.
        version: Its version, whole.
        labels: What :func:`read_labels` gives.
        scores: Columns of the view ``scores``; quality, diversity and every component where None.

    Raises:
        InputError: No document of the version has a label, or there is no such score.
        LakeError: A table of the version is gone or damaged.
    """
    return truth_of(labelled_documents(project, name, version, labels, scores))


def read_labels(path: Path) -> Labels:
    """Return the labels of a file such as ``labels.parquet``.

    Raises:
        InputError: There is no such file, it has no columns ``source``, ``id`` and ``kind``, a row
            lacks one of them, or two rows contradict each other.
    """
    if not path.is_file():
        raise InputError(f"labels: there is no file {path}.")
    table = table_of(path, _NAMED)
    if lacking := sorted({"source", "id", "kind"} - set(table.column_names)):
        raise InputError(f"{path} lacks the column {lacking[0]!r} of labels.")
    sources, ids, kinds = (table.column(name).to_pylist() for name in _NAMED)
    found: dict[tuple[str, str], str] = {}
    for row, (source, own, kind) in enumerate(zip(sources, ids, kinds, strict=True), 1):
        try:
            named, called, label = spelt(source), spelt(own), spelt(kind).strip()
        except ValueError as error:
            raise InputError(f"{path}, row {row}: {error}.") from None
        if not (named and called and label):
            raise InputError(f"{path}, row {row}: a label has a source, an id and a kind.")
        place = (named, called)
        if found.setdefault(place, label) != label:
            raise InputError(
                f"{path}, row {row}: {place[1]!r} of source {place[0]!r} is {label!r}, and "
                f"{found[place]!r} in a row before."
            )
    return _with_a_name_for_all_junk(found, path)


def _with_a_name_for_all_junk(labels: Labels, path: Path) -> Labels:
    """Return labels, of which one kind of junk among others may not have the name of all.

    Raises:
        InputError: One has.
    """
    kinds = set(labels.values()) - {CLEAN}
    if JUNK in kinds and len(kinds) > 1:
        raise InputError(
            f"{path}: {JUNK!r} is what all kinds together are called; beside "
            f"{', '.join(sorted(kinds - {JUNK}))} that kind needs another name."
        )
    return labels


def labelled_documents(
    project: Project,
    name: str,
    version: str,
    labels: Labels,
    scores: Sequence[str] | None = None,
) -> Labelled:
    """Return the labelled documents of a version, each once; arguments as above.

    Occurrences that the ledger calls duplicates are left out, labelled or not: another row stands
    for that text.
    """
    manifest = read_traced(project, name, version)
    parts = [_with_kinds(table, labels) for table in _tables(project, manifest, scores)]
    whole = pa.concat_tables(parts, promote_options="default")
    known = whole.filter(pc.is_valid(whole["kind"]))
    if not known.num_rows:
        raise InputError(
            f"none of the {whole.num_rows:,} documents of {name}@{version[:12]} has a label. "
            "Labels name sources and ids: the project must have those of the pool."
        )
    chosen = [column for column in known.column_names if column not in _OWN]
    return Labelled(
        kind=np.array(known["kind"].to_pylist()),
        num_tokens=known["num_tokens"].to_numpy(),
        copies=known["copies"].cast(pa.int64()).to_numpy(),
        scores={column: _floats(known[column]) for column in chosen},
        num_unlabelled=whole.num_rows - known.num_rows,
    )


_OWN = ("source", "id", "kind", "num_tokens", "copies")


def _tables(
    project: Project, manifest: Mapping[str, Any], scores: Sequence[str] | None
) -> Iterator[pa.Table]:
    """Yield id, tokens, copies and scores of each shard's documents, without duplicates."""
    folder = keys.version_folder(manifest["name"], manifest["version"])
    for shard in manifest["shards"]:
        source, digest = shard["source"], shard["digest"]
        features = manifest["features"][source]
        ledger = project.lake.read_table(f"{folder}/{ledger_file(source, digest)}")
        stored = project.lake.read_table(f"{features['scores']['folder']}/{digest}.parquet")
        documents = project.lake.read_table(
            f"{features['documents']['folder']}/{digest}.parquet", ["doc_id", "id"]
        )
        if not ledger["doc_id"] == stored["doc_id"] == documents["doc_id"]:
            raise CheckFailedError(
                f"{shard['path']}: ledger, scores and documents of {manifest['name']}@"
                f"{manifest['version'][:12]} are not of the same documents."
            )
        columns = {
            "source": pa.array([source] * ledger.num_rows, pa.string()),
            "id": documents["id"],
            "num_tokens": ledger["num_tokens"],
            "copies": ledger["copies"],
            **{column: stored[column] for column in _chosen(stored.column_names, scores)},
        }
        is_duplicate = pc.fill_null(pc.equal(ledger["reason"], "duplicate"), fill_value=False)
        yield pa.table(columns).filter(pc.invert(is_duplicate))


def _chosen(stored: Sequence[str], scores: Sequence[str] | None) -> list[str]:
    """Return the columns that are looked at.

    Raises:
        InputError: There is no such score.
    """
    if scores is None:
        parts = [name for name in stored if name.endswith(_COMPONENT)]
        return [name for name in (*_COORDINATES, *parts) if name in stored]
    unknown = [name for name in scores if name not in stored]
    if unknown:
        raise InputError(f"there is no score {unknown[0]!r}; there are {', '.join(stored)}.")
    return list(scores)


def _with_kinds(table: pa.Table, labels: Labels) -> pa.Table:
    found = zip(table["source"].to_pylist(), table["id"].to_pylist(), strict=True)
    kinds = [labels.get(place) for place in found]
    return table.append_column("kind", pa.array(kinds, pa.string()))


def _floats(column: pa.ChunkedArray) -> Floats:
    found: Floats = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return found
