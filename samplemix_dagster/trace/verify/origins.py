"""What a version came from: its shards and its models, as they are now."""

from collections.abc import Mapping
from typing import Any

from samplemix_dagster.engine.places.shard_places import digested_shards
from samplemix_dagster.engine.project import Project
from samplemix_dagster.storage.lake.overlay import OverlayLake
from samplemix_dagster.trace.verify.findings import Finding, finding_of, not_checked


def shards_of(project: Project, manifest: Mapping[str, Any]) -> list[Finding]:
    """Return whether the shards of a version are there, with the digests of its manifest."""
    found = digested_shards(project, manifest)
    states = [state for state, _ in found.places.values()]
    total, there = len(states), states.count("there")
    read = f"{found.num_bytes:,} bytes were digested"
    if found.problems:
        return [finding_of("shards", found.problems, "")]
    if there == total:
        words = f"{total} shard files have the digests of the manifest; {read}"
        return [Finding(check="shards", state="holds", words=words)]
    parts = [
        f"{states.count(state)} {words}"
        for state, words in (
            ("gone", "gone"),
            ("rewritten", "rewritten since"),
        )
        if state in states
    ]
    return [
        not_checked(
            "shards", f"{there} of {total} shard files are there; {', '.join(parts)}; {read}"
        )
    ]


def models_of(project: Project, manifest: Mapping[str, Any], lake: OverlayLake) -> list[Finding]:
    """Return whether the models of a version are there."""
    from samplemix_dagster.trace.verify.rescoring import found_models

    good, missing = [], []
    for kind, found in found_models(project, manifest, lake).items():
        if found.problem:
            missing.append(found.problem)
        else:
            good.append(f"{kind} {found.digest[:12]}")
    if missing:
        return [not_checked("models", "; ".join(missing))]
    return [Finding(check="models", state="holds", words=f"{', '.join(good)} are there")]
