"""Verify a mixture version: draw it again from what is stored, and compare.

Each check holds, is broken, or could not be made because something is gone; the last is said apart
from the second. What needs the raw texts and the models is in ``rescoring.py``.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from samplemix_dagster import tables
from samplemix_dagster.engine.addresses.recipe_graph import RecipeGraph
from samplemix_dagster.engine.foundation.corpus import CORPUS
from samplemix_dagster.engine.places.shard_places import digested_shards
from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import LakeError, SampleMixError
from samplemix_dagster.stages.beta import BETA
from samplemix_dagster.stages.exclusions.excluded import LeftOutCount
from samplemix_dagster.stages.mixture.mixing import Draw, draw_ledger
from samplemix_dagster.stages.mixture.mixture_manifest import read_traced, sealed
from samplemix_dagster.stages.mixture.version_files import ledger_problems
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.overlay import OverlayLake
from samplemix_dagster.trace.pinned import (
    NotComputableError,
    PinnedRecipes,
    pinned,
    scratch_over,
    state_of,
)
from samplemix_dagster.trace.state_maker import StateMaker

_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found."""

    check: str
    state: Literal["holds", "broken", "not_checked"]
    words: str


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
    findings += _draw_again(project, manifest)
    with scratch_over(project) as lake:
        findings += [*_shards(project, manifest), *_models(project, manifest, lake)]
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


def _found(check: str, problems: list[str], good: str) -> Finding:
    if not problems:
        return Finding(check=check, state="holds", words=good)
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return Finding(check=check, state="broken", words="; ".join(problems[:_SHOWN]) + more)


def _gone(check: str, words: str) -> Finding:
    return Finding(check=check, state="not_checked", words=words)


def _sealed(manifest: Mapping[str, Any]) -> Finding:
    expected = sealed(manifest)["digest"]
    problems = (
        []
        if manifest["digest"] == expected
        else [
            f"its digest is {manifest['digest']}, but its content gives {expected}: it was edited"
        ]
    )
    return _found("manifest", problems, "has the published form and its own digest")


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
    return _found("address", problems, "the version is the hash of the inputs that it names")


def _stored_ledger(lake: OverlayLake, manifest: Mapping[str, Any]) -> Finding:
    problems = ledger_problems(lake, manifest)
    return _found(
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
    return _found("accounting", problems, good)


# -- drawing again --------------------------------------------------------------------------------


def _draw_again(project: Project, manifest: Mapping[str, Any]) -> list[Finding]:
    """Make scores, law and ledger again; without what scores come from, the ledger alone."""
    findings = []
    try:
        with scratch_over(project) as lake:
            recipes = pinned(project, state_of(manifest), lake)
            lake.hidden = _made_again(recipes)
            StateMaker(recipes).make()
            findings.append(_compare_scores(recipes, lake))
            return [*findings, *_compare_ledger(recipes, lake, manifest)]
    except NotComputableError as error:
        findings.append(_gone("scored_again", f"scores were not made again: {error}"))
    except (LakeError, ValueError, KeyError, OSError) as error:
        findings.append(Finding(check="scored_again", state="broken", words=str(error)))
    try:
        with scratch_over(project) as lake:
            recipes = pinned(project, state_of(manifest), lake)
            StateMaker(recipes).require_same_draw()
            return [*findings, *_compare_ledger(recipes, lake, manifest)]
    except (NotComputableError, LakeError) as error:
        return [*findings, _gone("drawn_again", f"the ledger was not drawn again: {error}")]
    except (SampleMixError, ValueError, KeyError, OSError) as error:
        return [*findings, Finding(check="drawn_again", state="broken", words=str(error))]


def _made_again(recipes: PinnedRecipes) -> frozenset[str]:
    """Folders of what is cheap to make from stored features: frozen fits are taken as they are."""
    sources = list(recipes.config.corpus.sources)
    derived = [stage for stage in recipes.feature_stages() if not stage.reads_text(recipes.project)]
    folders = {recipes.feature_folder(stage, source) for stage in derived for source in sources}
    return frozenset({*folders, recipes.fit_key(CORPUS), recipes.fit_key(BETA)})


def _compare_scores(recipes: PinnedRecipes, lake: OverlayLake) -> Finding:
    """What was made again is what is stored, table by table."""
    problems, absent, same = [], 0, 0
    for stage in recipes.feature_stages():
        for shard in recipes.project.all_shards():
            key = recipes.feature_key(stage, shard)
            if not lake.top.exists(key):
                continue
            if not lake.below.exists(key):
                absent += 1
            elif lake.top.read_table(key).equals(_read(lake, key)):
                same += 1
            else:
                problems.append(f"{stage.name} of {shard.shard.path} ({key})")
    if problems:
        head = "stored scores are not what the stored features give: "
        problems = [head + problems[0], *problems[1:]]
    gone = f"; {absent} were gone from the lake" if absent else ""
    return _found("scored_again", problems, f"{same} tables of scores came out the same{gone}")


def _read(lake: OverlayLake, key: str) -> Any:
    try:
        return lake.below.read_table(key)
    except LakeError:
        return None  # damaged: equal to nothing


def _compare_ledger(
    recipes: PinnedRecipes, lake: OverlayLake, manifest: Mapping[str, Any]
) -> list[Finding]:
    folder = keys.version_folder(manifest["name"], manifest["version"])
    drawn = draw_ledger(Draw(recipes, "pinned"), lake.top, manifest["version"])
    problems, same_bytes = [], 0
    if sorted(drawn.digests) != sorted(manifest["ledger"]):
        problems.append("it has other files")
    for key, digest in drawn.digests.items():
        if digest == manifest["ledger"].get(key):
            same_bytes += 1
        elif not lake.below.exists(f"{folder}/{key}"):
            problems.append(f"{key} is gone, and the one that was drawn again has other bytes")
        elif not lake.top.read_table(key).equals(_read(lake, f"{folder}/{key}")):
            problems.append(f"{key} comes out with other draws")
    words = f"{same_bytes} ledger files came out with the same bytes"
    if other := len(drawn.digests) - same_bytes - len(problems):
        words += f", {other} with the same rows in other bytes (another version of pyarrow)"
    differing = sorted(
        key
        for key in {*drawn.report, *manifest["report"]}
        if drawn.report.get(key) != manifest["report"].get(key)
    )
    if drawn.scales != manifest["scales"]:
        differing.append("scales")
    if drawn.design_scales != manifest.get("design_scales"):
        differing.append("design_scales")
    report = [f"{key} comes out otherwise" for key in differing]
    return [
        _found("drawn_again", problems, words),
        _found("report", report, "scales, totals, means and shares came out the same"),
    ]


# -- what the version came from ------------------------------------------------------------------


def _shards(project: Project, manifest: Mapping[str, Any]) -> list[Finding]:
    found = digested_shards(project, manifest)
    states = [state for state, _ in found.places.values()]
    total, there = len(states), states.count("there")
    read = f"{found.num_bytes:,} bytes were digested"
    if found.problems:
        return [_found("shards", found.problems, "")]
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
        _gone("shards", f"{there} of {total} shard files are there; {', '.join(parts)}; {read}")
    ]


def _models(project: Project, manifest: Mapping[str, Any], lake: OverlayLake) -> list[Finding]:
    from samplemix_dagster.trace.verify.rescoring import found_models

    good, missing = [], []
    for kind, found in found_models(project, manifest, lake).items():
        if found.problem:
            missing.append(found.problem)
        else:
            good.append(f"{kind} {found.digest[:12]}")
    if missing:
        return [_gone("models", "; ".join(missing))]
    return [Finding(check="models", state="holds", words=f"{', '.join(good)} are there")]
