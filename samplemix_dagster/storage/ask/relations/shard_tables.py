"""Selections of the current tables of shards: of a stage, or of every label."""

from collections.abc import Sequence

from samplemix_dagster.storage.ask.sql_text import Reader, text, union
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.lake import Lake

_DOCUMENT_COLUMNS = (
    "doc_id varchar, row bigint, id varchar, language varchar, num_bytes bigint, metadata varchar"
)
_REJECTION_COLUMNS = "row bigint, reason varchar, excerpt varchar, num_rows bigint"
_SCORE_COLUMNS = (
    "doc_id varchar, row bigint, language varchar, num_tokens bigint, bits_per_byte double, "
    "perplexity double, quality double, cluster integer, topic integer, diversity double"
)
_CONTAMINATION_COLUMNS = (
    "doc_id varchar, evaluation varchar, item bigint, share double, num_items bigint, "
    "snippet varchar"
)
_LABEL_COLUMNS = (
    "source varchar, digest varchar, name varchar, doc_id varchar, row bigint, label varchar"
)


def located(lake: Lake, places: Sequence[tuple[str, str, str]], kind: str, reader: Reader) -> str:
    """Select a stage's current tables, each row with its source and shard digest."""
    parts = _parts(lake, places, kind, reader)
    columns = {
        "documents": _DOCUMENT_COLUMNS,
        "rejections": _REJECTION_COLUMNS,
        "scores": _SCORE_COLUMNS,
        "contamination": _CONTAMINATION_COLUMNS,
    }[kind]
    columns = f"source varchar, digest varchar, {columns}"
    if kind == "rejections":
        # Tables of the first version lack a column; an empty relation brings it.
        parts.append(union([], columns))
    return union(parts, columns)


def labels(lake: Lake, places: Sequence[tuple[str, str, str]], reader: Reader) -> str:
    """Select every label's current tables, each row with the label's name."""
    parts = []
    for stage in label_stages(lake):
        name = text(stage.removeprefix(keys.LABEL_STAGE))
        parts += [
            f"select {name} as name, t.* from ({part}) as t"
            for part in _parts(lake, places, stage, reader)
        ]
    return union(parts, _LABEL_COLUMNS)


def label_stages(lake: Lake) -> list[str]:
    """Return the stages that gave documents labels, by name."""
    return sorted(one for one in lake.names(keys.STATE) if one.startswith(keys.LABEL_STAGE))


def _parts(
    lake: Lake, places: Sequence[tuple[str, str, str]], kind: str, reader: Reader
) -> list[str]:
    """Return a selection for each source that has tables of a stage."""
    stage = "documents" if kind == "rejections" else kind
    ending = ".rejected.parquet" if kind == "rejections" else ".parquet"
    by_source: dict[str, list[str]] = {}
    for source, digest, _ in places:
        by_source.setdefault(source, []).append(digest)
    parts = []
    for source, digests in sorted(by_source.items()):
        state = lake.read_json(keys.done_note(stage, source))
        if state is None:
            continue
        there = lake.names(state["folder"])
        tables_of = [
            f"{state['folder']}/{digest}{ending}"
            for digest in sorted(set(digests))
            if f"{digest}{ending}" in there
        ]
        files = [str(path) for path in lake.paths(tables_of)]
        if files:
            # The name up to its first dot is the shard's digest.
            parts.append(
                f"select {text(source)} as source, "
                "split_part(parse_filename(filename), '.', 1) as digest, "
                f"* exclude (filename) from {reader(files, True)}"
            )
    return parts
