"""What of evaluations stands in the corpus: by set, and the documents that hold it."""

from collections.abc import Mapping
from typing import Any

from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import ConfigError, InputError
from samplemix_dagster.stages.exclusions.evaluations.evaluation_texts import EVALUATION_TEXTS
from samplemix_dagster.storage.ask.query import query
from samplemix_dagster.storage.lake import keys

_SETS = """
select
    evaluation,
    count(distinct item)::bigint as items_found,
    count(distinct doc_id)::bigint as documents,
    count(distinct doc_id) filter (where share >= 0.5)::bigint as documents_with_half
from contamination
group by all
"""
_DOCUMENTS = """
select
    c.doc_id, c.source, c.shard, d.row, d.id, c.evaluation, c.item, c.share, c.num_items, c.snippet
from contamination as c
inner join documents as d using (doc_id, source, shard)
order by c.share desc, c.evaluation, c.item, c.source, c.shard, d.row
"""


def contaminated(project: Project) -> Mapping[str, Any]:
    """Return ``sets`` (what was looked for and found of each) and ``documents``, the most first.

    Raises:
        ConfigError: No evaluation is named.
        InputError: Nothing was looked for yet.
    """
    named = project.config.exclude.evaluation
    if not named:
        raise ConfigError(
            "no evaluation is named: `exclude: {evaluation: {NAME: path/to/*.jsonl}}` in "
            "samplemix.yaml says what no mixture may hold."
        )
    folder = EVALUATION_TEXTS.folder()
    current = project.lake.read_json(keys.current_fit(folder))
    if current is None:
        raise InputError("nothing was looked for yet: `samplemix run` does it.")
    note = project.lake.read_json(keys.fit_note(keys.fit_folder(folder, current["version"])), {})
    looked_for = note["facts"]["sets"]
    found = {row["evaluation"]: row for row in query(project.lake, _SETS).to_pylist()}
    none = {"items_found": 0, "documents": 0, "documents_with_half": 0}
    return {
        "sets": [
            {"evaluation": name, **counts, **(found.get(name) or none)}
            for name, counts in looked_for.items()
        ],
        "documents": query(project.lake, _DOCUMENTS).to_pylist(),
    }
