"""What differs between two mixture versions, and why: causes by counterfactual.

From version A one input after the other is replaced with version B's, in the order of the pipeline,
and each time the mixture is drawn from stored features. What a step changes is what its cause
contributes, so the contributions add up to the whole difference. Where a model was replaced too,
data is replaced in two parts: what went before the models, what came after them. A state that still
cannot be drawn from what is stored joins its step to the next one. The words are in
``difference_words.py``.
"""

from collections.abc import Mapping
from typing import Any

from samplemix_dagster.engine.project import Project
from samplemix_dagster.stages.mixture.published.mixture_manifest import read_traced
from samplemix_dagster.trace.difference.causes import CAUSES
from samplemix_dagster.trace.difference.chain import Chain, Step, folder_of
from samplemix_dagster.trace.difference.difference_words import cause_words
from samplemix_dagster.trace.difference.headline import headline
from samplemix_dagster.trace.difference.measures import (
    KINDS,
    Measures,
    common_draws,
    common_kinds,
    subtract,
    total_variation,
)
from samplemix_dagster.trace.remade.pinned import scratch_over


def difference(project: Project, first: tuple[str, str], second: tuple[str, str]) -> dict[str, Any]:
    """Return what differs between two versions, and why, as a JSON value.

    Args:
        project: The project.
        first: (mixture, version) of A.
        second: (mixture, version) of B.

    Raises:
        LakeError: A manifest or a ledger is gone or damaged.
        CheckFailedError: A manifest does not have the published form.
    """
    a, b = read_traced(project, *first), read_traced(project, *second)
    with scratch_over(project) as lake:
        chain = Chain(project, lake, a, b)
        steps = chain.steps()
        before, after = chain.stored[0], chain.stored[1]
        found = {
            "a": _named(a),
            "b": _named(b),
            "a_totals": before.totals,
            "b_totals": after.totals,
            "change": subtract(after, before).totals,
            "groups": _groups(before, after, steps),
            "not_measured": sorted({*before.absent, *after.absent}),
            "total_variation": {
                kind: total_variation(before, after, kind)
                for kind in dict.fromkeys((*KINDS, *common_kinds(before, after)))
            },
            "documents": common_draws(
                project.lake, (folder_of(a), list(a["ledger"])), (folder_of(b), list(b["ledger"]))
            ),
            "causes": [
                {
                    "causes": list(step.causes),
                    "change": step.change.totals,
                    "joined_because": step.joined_because,
                    "what": [*cause_words(project, a, b, step.causes), *chain.in_parts(step)],
                }
                for step in steps
            ],
            "unchanged": [
                cause for cause in CAUSES if not any(cause in step.causes for step in steps)
            ],
            "drawn_states_match": chain.matches,
        }
    return {**found, "words": headline(found)}


def _named(manifest: Mapping[str, Any]) -> dict[str, object]:
    return {key: manifest[key] for key in ("name", "version", "made_at")}


def _groups(
    before: Measures, after: Measures, steps: list[Step]
) -> dict[str, list[dict[str, Any]]]:
    """Return each group with its change, split by cause; the biggest change of tokens first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for kind, names in subtract(after, before).groups.items():
        rows = []
        for name, change in names.items():
            mine, theirs = before.group(kind, name), after.group(kind, name)
            rows.append(
                {
                    "name": name,
                    "tokens_a": mine["tokens"],
                    "tokens_b": theirs["tokens"],
                    "draws_a": mine["draws"],
                    "draws_b": theirs["draws"],
                    "share_a": mine["tokens"] / max(1, before.totals["tokens"]),
                    "share_b": theirs["tokens"] / max(1, after.totals["tokens"]),
                    "tokens_change": change["tokens"],
                    "draws_change": change["draws"],
                    "by_cause": [
                        {"causes": list(step.causes), **step.change.group(kind, name)}
                        for step in steps
                        if kind in step.change.groups
                    ],
                }
            )
        found[kind] = sorted(rows, key=lambda row: (-abs(row["tokens_change"]), row["name"]))
    return found
