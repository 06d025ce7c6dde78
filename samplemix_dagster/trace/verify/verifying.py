"""Verify a mixture version: draw it again from what is stored, and compare.

Each check holds, is broken, or could not be made because something is gone; the last is said apart
from the second. What needs the raw texts and the models is in ``rescoring.py``.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from samplemix_dagster import tables
from samplemix_dagster.engine.addresses.recipe_graph import RecipeGraph
from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import LakeError
from samplemix_dagster.stages.exclusions.excluded import LeftOutCount
from samplemix_dagster.stages.mixture.published.mixture_manifest import read_traced, sealed
from samplemix_dagster.stages.mixture.published.version_files import ledger_problems
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.overlay import OverlayLake
from samplemix_dagster.trace.remade.pinned import scratch_over
from samplemix_dagster.trace.verify.drawing_again import draw_again
from samplemix_dagster.trace.verify.findings import Finding, finding_of
from samplemix_dagster.trace.verify.origins import models_of, shards_of


def verify(project: Project, name: str, version: str, *, deep: int = 0) -> dict[str, Any]:
    """Return what holds of a version, what does not, and what could not be checked.

    Of a lake on S3, the objects are checked, not this machine's copies of them.

    Args:
        project: The project.
        name: The mixture.
        version: Its version.
        deep: How many documents to score again from their raw text; 0: none.

    Raises:
        LakeError: There is no manifest, or it is damaged.
        CheckFailedError: The manifest does not have the published form.
    """
    with project.lake.afresh():
        return _verify(project, name, version, deep)


def _verify(project: Project, name: str, version: str, deep: int) -> dict[str, Any]:
    manifest = read_traced(project, name, version, as_is=True)
    with scratch_over(project) as lake:
        findings = [
            _sealed(manifest),
            _address(manifest),
            _stored_ledger(lake, manifest),
            _accounting(lake, manifest),
        ]
    findings += draw_again(project, manifest)
    with scratch_over(project) as lake:
        findings += [*shards_of(project, manifest), *models_of(project, manifest, lake)]
        if deep:
            from samplemix_dagster.trace.verify.rescoring import rescore

            findings += [Finding(**found) for found in rescore(project, manifest, lake, deep)]
    states = {finding.check: finding.state for finding in findings}
    is_broken = "broken" in states.values()
    is_drawn = states["drawn_again"] == "holds"
    return {
        "name": name,
        "version": version,
        "holds": not is_broken and is_drawn,
        "is_broken": is_broken,
        "checks": [asdict(finding) for finding in findings],
    }


def _sealed(manifest: Mapping[str, Any]) -> Finding:
    expected = sealed(manifest)["digest"]
    problems = (
        []
        if manifest["digest"] == expected
        else [
            f"its digest is {manifest['digest']}, but its content gives {expected}: it was edited"
        ]
    )
    return finding_of("manifest", problems, "has the published form and its own digest")


def _address(manifest: Mapping[str, Any]) -> Finding:
    """The version is the hash of the recipe and the shards that the manifest names.

    Only what the manifest holds is hashed: what today's code would make of its settings says
    nothing of a version that another code made.
    """
    try:
        problems = RecipeGraph.of_manifest(manifest).problems(manifest["version"])
        if manifest["config"] != manifest["recipe"]["mixture"]:
            problems.append("its settings are others than its recipe's")
    except (KeyError, TypeError, ValueError) as error:
        problems = [f"its recipes are no graph: {error}"]
    return finding_of("address", problems, "the version is the hash of the inputs that it names")


def _stored_ledger(lake: OverlayLake, manifest: Mapping[str, Any]) -> Finding:
    problems = ledger_problems(lake, manifest)
    return finding_of(
        "ledger_files",
        [f"{key} {problem}" for key, problem in problems.items()],
        f"{len(manifest['ledger'])} files have the digests of the manifest",
    )


def _accounting(lake: OverlayLake, manifest: Mapping[str, Any]) -> Finding:
    """Documents = drawn + not drawn + duplicates + excluded, and totals are the report's."""
    folder, report = keys.version_folder(manifest["name"], manifest["version"]), manifest["report"]
    rows = drawn = not_drawn = duplicates = tokens = draws = 0
    left_out = LeftOutCount()
    for key in manifest["ledger"]:
        try:
            table = lake.read_table(f"{folder}/{key}", ["num_tokens", "copies", "reason"])
        except LakeError as error:
            return Finding(check="accounting", state="broken", words=str(error))
        copies = table.column("copies").to_numpy()
        reasons = table.column("reason").to_pylist()
        rows += table.num_rows
        drawn += int((copies > 0).sum())
        not_drawn += reasons.count(tables.NOT_DRAWN)
        duplicates += reasons.count(tables.DUPLICATE)
        left_out.add(table.column("reason"), table.column("num_tokens").to_numpy())
        draws += int(copies.sum())
        tokens += int((copies * table.column("num_tokens").to_numpy()).sum())
    stated = report.get("excluded", {})
    excluded = {reason: entry["documents"] for reason, entry in left_out.by_reason.items()}
    parts = drawn + not_drawn + duplicates + sum(excluded.values())
    wanted = [
        ("rows", rows, "drawn + not drawn + duplicates + excluded", parts),
        *(
            (f"documents excluded as {r}", excluded.get(r, 0), "the report's", n["documents"])
            for r, n in stated.items()
        ),
        ("documents but duplicates", rows - duplicates, "the report's", report["num_documents"]),
        ("drawn documents", drawn, "the report's", report["num_documents_drawn"]),
        ("draws", draws, "the report's", report["num_draws"]),
        ("tokens of the draws", tokens, "the report's", report["realised_tokens"]),
    ]
    problems = [f"{what} {a:,}, {other} {b:,}" for what, a, other, b in wanted if a != b]
    good = f"{rows:,} rows, {draws:,} draws, {tokens:,} tokens add up"
    return finding_of("accounting", problems, good)
