"""The tables behind the views, read as the lake reads them: DuckDB compares no checksums.

Who builds on the views looks first; who only asks looks when DuckDB says that a file is no good.
"""

from collections.abc import Iterator

from samplemix_dagster.storage.ask.relations.judged_views import losses_of, results
from samplemix_dagster.storage.ask.relations.listed import mixture_versions
from samplemix_dagster.storage.ask.relations.shard_tables import label_stages
from samplemix_dagster.storage.ask.relations.views import current_lists
from samplemix_dagster.storage.corpus.manifest import Manifest, ledger_file, source_of
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.lake import Lake


def check_tables(lake: Lake, *, with_reports: bool = False) -> None:
    """Read every table behind the views.

    Raises:
        DamagedError: One is not what was written.
        LakeError: One is missing.
    """
    for key in _tables(lake):
        lake.read_table(key)
    if with_reports:
        for name in sorted(lake.names(keys.REPORTS)):
            if name.endswith(".parquet"):
                lake.read_table(f"{keys.REPORTS}/{name}")


def _tables(lake: Lake) -> Iterator[str]:
    for manifest in current_lists(lake):
        yield from _of_shards(lake, manifest)
    corpus = lake.read_json(keys.current_fit("corpus"))
    if corpus is not None:
        yield keys.duplicates(corpus["version"])
    excluded = lake.read_json(keys.current_fit("exclusions"))
    if excluded is not None:
        yield keys.excluded(excluded["version"])
    current = (lake.read_json(keys.CURRENT_EVALUATION) or {}).get("evaluation")
    for found in results(lake):
        if found["evaluation"] == current:
            yield from losses_of(lake, found)
    for entry in mixture_versions(lake):
        for shard in entry["shards"] if entry["is_current"] else ():
            folder = keys.version_folder(entry["name"], entry["version"])
            yield f"{folder}/{ledger_file(shard['source'], shard['digest'])}"


def _of_shards(lake: Lake, manifest: Manifest) -> Iterator[str]:
    source = source_of(manifest.partition)
    for stage in ("documents", "scores", "contamination", *label_stages(lake)):
        state = lake.read_json(keys.done_note(stage, source))
        there = set() if state is None else lake.names(state["folder"])
        for shard in manifest.shards:
            for end in (".parquet", ".rejected.parquet"):
                if f"{shard.digest}{end}" in there:
                    yield f"{state['folder']}/{shard.digest}{end}"
