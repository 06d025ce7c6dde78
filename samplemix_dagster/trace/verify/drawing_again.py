"""Scores, law and ledger of a version, made again from what is stored."""

from collections.abc import Mapping
from typing import Any

from samplemix_dagster.engine.foundation.corpus import CORPUS
from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import LakeError, SampleMixError
from samplemix_dagster.stages.beta import BETA
from samplemix_dagster.stages.mixture.drawing.draw import Draw
from samplemix_dagster.stages.mixture.mixing import draw_ledger
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.overlay import OverlayLake
from samplemix_dagster.trace.remade.pinned import PinnedRecipes, pinned, scratch_over
from samplemix_dagster.trace.remade.state_maker import StateMaker
from samplemix_dagster.trace.remade.states import NotComputableError, state_of
from samplemix_dagster.trace.verify.findings import Finding, finding_of, not_checked


def draw_again(project: Project, manifest: Mapping[str, Any]) -> list[Finding]:
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
        findings.append(not_checked("scored_again", f"scores were not made again: {error}"))
    except (LakeError, ValueError, KeyError, OSError) as error:
        findings.append(Finding(check="scored_again", state="broken", words=str(error)))
    try:
        with scratch_over(project) as lake:
            recipes = pinned(project, state_of(manifest), lake)
            StateMaker(recipes).require_same_draw()
            return [*findings, *_compare_ledger(recipes, lake, manifest)]
    except (NotComputableError, LakeError) as error:
        return [*findings, not_checked("drawn_again", f"the ledger was not drawn again: {error}")]
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
    return finding_of("scored_again", problems, f"{same} tables of scores came out the same{gone}")


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
        finding_of("drawn_again", problems, words),
        finding_of("report", report, "scales, totals, means and shares came out the same"),
    ]
