"""Shares of other groups than sources: held to within a document, told, and drawn again."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samplemix_dagster.definitions import build_defs
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.errors import ConfigError, InfeasibleMixtureError
from samplemix_dagster.pages.difference import difference_page
from samplemix_dagster.runs.plan.foresight import refusals
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.work.run import run_project
from samplemix_dagster.runs.work.what_if import draw_what_if
from samplemix_dagster.stages.mixture.drawing import settling
from samplemix_dagster.stages.mixture.drawing.draw import Draw
from samplemix_dagster.trace.difference.difference import difference
from samplemix_dagster.trace.explain import explain_document
from samplemix_dagster.trace.verify.verifying import verify
from samplemix_dagster.trace.versions import summary
from samplemix_dagster.validation.choosing.arms import arm_of
from samplemix_dagster.validation.choosing.corpus import read_corpus
from tests.engine.changes import settings_changed
from tests.engine.labelled import label_by_source
from tests.engine.runs import copies, manifest, rows, run, version
from tests.projects import (
    copy_project,
    finished_project,
    needs_encoder,
    open_project,
    read_settings,
    write_settings,
)

pytestmark = needs_encoder
BUDGET = 5000
TONGUES = {"de": 0.25, "en": 0.75}
MIXTURES: dict[str, dict[str, Any]] = {
    "tongues": {"shares_by": "language", "shares": TONGUES},
    "pairs": {"shares_by": ["source", "language"], "shares": "kept"},
    "origins": {"shares_by": "origin", "shares": "kept"},
    "sources": {"shares": "kept"},
    "given_origins": {"shares_by": "origin", "shares": {"news": 0.7, "letters": 0.3}},
    "given_sources": {"shares": {"news": 0.7, "letters": 0.3}},
    "clusters": {"shares_by": ["cluster"], "shares": "proportional"},
    "topics": {"shares_by": "topic"},
    "plain": {},
}
BY_GROUPS = [name for name, one in MIXTURES.items() if "shares_by" in one]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a mixture by each axis. Nobody changes it."""
    root = copy_project(finished_project(), tmp_path_factory.mktemp("axes") / "project")
    label_by_source(root)
    settings = read_settings(root)
    mixtures = {name: {"budget_tokens": BUDGET, **one} for name, one in MIXTURES.items()}
    settings["mixtures"] = {"default": settings["mixtures"]["default"], **mixtures}
    write_settings(root, settings)
    run_project(open_project(root))
    drawn = manifest(root, "tongues")["report"]["realised_tokens"]
    after = {"version": version(root, "tongues"), "tokens": drawn}
    settings["mixtures"]["next"] = {**mixtures["tongues"], "max_copies": 2, "after": after}
    write_settings(root, settings)
    run_project(open_project(root))
    return root


def tokens_by_group(root: Path, mixture: str) -> Counter[str]:
    """Drawn tokens of each group, by the ledger."""
    found = rows(
        root,
        "select share_group, sum(copies * num_tokens)::bigint as tokens from ledger "
        f"where mixture = '{mixture}' group by all",
    )
    return Counter({row["share_group"]: row["tokens"] for row in found})


def longest(root: Path) -> int:
    [found] = rows(root, "select max(num_tokens) as longest from documents")
    return int(found["longest"])


@pytest.mark.parametrize("mixture", [*BY_GROUPS, "next"])
def test_the_budget_is_met_to_within_a_document(mixture: str, root: Path) -> None:
    assert 0 <= BUDGET - tokens_by_group(root, mixture).total() < longest(root)


@pytest.mark.parametrize("mixture", ["tongues", "next"])
def test_each_group_has_its_share_to_within_a_document(mixture: str, root: Path) -> None:
    found = tokens_by_group(root, mixture)
    assert found["zxx"] == 0
    for group, share in TONGUES.items():
        assert abs(found[group] - share * BUDGET) < longest(root)


def test_proportional_shares_are_those_of_the_corpus_to_within_a_document(root: Path) -> None:
    [whole] = rows(
        root,
        "select sum(num_tokens) as n from ledger where mixture = 'clusters' "
        "and reason is distinct from 'duplicate'",
    )
    corpus = rows(
        root,
        "select share_group as name, sum(num_tokens) as n from ledger where mixture = 'clusters' "
        "and reason is distinct from 'duplicate' group by all",
    )
    found = tokens_by_group(root, "clusters")
    for row in corpus:
        assert abs(found[row["name"]] - BUDGET * row["n"] / whole["n"]) < longest(root)


@pytest.mark.parametrize("kind", ["", "given_"])
def test_a_label_that_names_the_source_draws_what_shares_of_sources_draw(
    kind: str, root: Path
) -> None:
    assert copies(root, f"{kind}origins") == copies(root, f"{kind}sources")


def test_free_shares_draw_the_same_by_whatever_they_are_told(root: Path) -> None:
    assert copies(root, "topics") == copies(root, "plain")


def test_a_group_is_a_source_and_a_language(root: Path) -> None:
    assert set(tokens_by_group(root, "pairs")) == {"letters/de", "news/en", "web/en", "web/zxx"}


def test_a_ledger_by_sources_names_no_group(root: Path) -> None:
    assert set(tokens_by_group(root, "plain")) == {None}


@pytest.mark.parametrize("mixture", ["pairs", "origins", "clusters"])
def test_the_order_of_shards_changes_no_scale(
    mixture: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = Draw(Recipes(open_project(root)), mixture)
    parts = list(draw.parts())
    there = draw.scales()
    monkeypatch.setattr(draw, "parts", lambda: iter(parts[::-1]))
    back = draw.scales()
    assert (there.settled, there.design) == (back.settled, back.design)


@pytest.mark.parametrize("mixture", [*BY_GROUPS, "next"])
def test_the_report_tells_what_the_ledger_holds_of_each_group(mixture: str, root: Path) -> None:
    report = manifest(root, mixture)["report"]
    found = {name: entry["tokens"] for name, entry in report["groups"].items()}
    assert found == dict(tokens_by_group(root, mixture))
    assert sum(entry["share_before"] for entry in report["groups"].values()) == pytest.approx(
        1, abs=1e-5
    )


def test_a_version_by_sources_reports_no_groups(root: Path) -> None:
    assert "groups" not in summary(manifest(root, "plain"))


@pytest.mark.parametrize("mixture", [*BY_GROUPS, "next"])
def test_every_version_is_drawn_again_to_the_same(mixture: str, root: Path) -> None:
    found = verify(open_project(root), mixture, version(root, mixture))
    assert {one["check"]: one["state"] for one in found["checks"]} == dict.fromkeys(
        (one["check"] for one in found["checks"]), "holds"
    )


@pytest.mark.parametrize(
    ("mixture", "says"),
    [("tongues", " of language en x weight"), ("pairs", " of source/language news/en x weight")],
)
def test_an_explanation_names_the_group(mixture: str, says: str, root: Path) -> None:
    [row] = rows(
        root,
        f"select min(doc_id) as id from ledger where mixture = '{mixture}' and source = 'news'",
    )
    for where in (None, f"{mixture}@{version(root, mixture)}"):
        found = explain_document(open_project(root), row["id"], where)
        assert any(says in one["because"] for one in found["mixtures"])


def test_a_group_without_a_share_is_explained(root: Path) -> None:
    [row] = rows(
        root,
        "select min(doc_id) as id from ledger where mixture = 'given_origins' and source = 'web' "
        "and reason = 'not_drawn'",
    )
    where = f"given_origins@{version(root, 'given_origins')}"
    [found] = explain_document(open_project(root), row["id"], where)["mixtures"]
    assert found["because"].startswith("origin web has no share of this mixture")


def test_what_goes_on_keeps_the_cap_over_both(root: Path) -> None:
    [found] = rows(
        root,
        "select max(copies + consumed) filter (copies > 0) as most, sum(consumed)::bigint as n "
        "from ledger where mixture = 'next'",
    )
    assert 1 <= found["most"] <= 2
    assert found["n"] == sum(copies(root, "tongues").values())


def test_an_arm_holds_the_shares_of_the_groups(root: Path) -> None:
    recipes = Recipes(open_project(root))
    corpus = read_corpus(recipes)
    arm = arm_of(recipes, corpus, "tongues")
    groups = arm.groups(corpus, 1000)
    assert groups is not None
    german = corpus.languages == "de"
    [number] = np.unique(groups.of_document[german]).tolist()
    assert groups.tokens[number] == int(1000 * arm.shares["de"])
    assert arm.shares["de"] == pytest.approx(TONGUES["de"], abs=longest(root) / BUDGET)


def test_two_versions_differ_by_the_labels_alone_when_their_file_changed(
    root: Path, tmp_path: Path
) -> None:
    other = copy_project(root, tmp_path / "project")
    before = version(other, "origins")
    (other / "origins.csv").write_text(
        (other / "origins.csv").read_text().replace(",news,news\n", ",news,web\n", 30)
    )
    done = run(other)
    assert done.planned == done.done
    drawn = {"mixture/origins", "mixture/given_origins"}
    exported = {name.replace("mixture", "export") for name in drawn}
    assert done.assets == {"label_origin", *drawn, *exported}
    assert done.why["mixture/origins"] == "labels changed"
    found = difference(
        open_project(other), ("origins", before), ("origins", version(other, "origins"))
    )
    assert [cause["causes"] for cause in found["causes"]] == [["labels"]]


@pytest.mark.parametrize(("one", "other"), [("origins", "tongues"), ("tongues", "origins")])
def test_a_label_that_comes_or_goes_with_the_dials_is_no_cause_of_its_own(
    one: str, other: str, root: Path
) -> None:
    versions = ((name, version(root, name)) for name in (one, other))
    found = difference(open_project(root), *versions)
    assert [cause["causes"] for cause in found["causes"]] == [["dials"]]
    assert "share_group" not in {*found["groups"], *found["total_variation"]}


def test_a_difference_tells_what_each_group_of_shares_won(root: Path) -> None:
    versions = [(name, version(root, name)) for name in ("origins", "given_origins")]
    found = difference(open_project(root), *versions)
    told = {row["name"]: row for row in found["groups"]["share_group"]}
    for side, (name, _) in zip(("tokens_a", "tokens_b"), versions, strict=True):
        assert {group: row[side] for group, row in told.items()} == tokens_by_group(root, name)
    for row in told.values():
        parts = sum(part["tokens"] for part in row["by_cause"])
        assert parts == row["tokens_change"] == row["tokens_b"] - row["tokens_a"]
    assert found["total_variation"]["share_group"] > 0
    assert any("from share group news" in words for words in found["words"])
    page = difference_page(found, ["dials"] * len(found["causes"]))
    assert "Tokens by share group" in page


def test_shares_of_a_group_that_is_not_there_are_refused_with_those_that_are(root: Path) -> None:
    changes = {"shares_by": "language", "shares": {"fr": 1.0}}
    with pytest.raises(InfeasibleMixtureError, match="but language has no 'fr': de, en, zxx"):
        draw_what_if(open_project(root), "plain", changes, None)


def test_shares_of_a_cluster_that_is_not_there_are_refused_by_the_draw(root: Path) -> None:
    changes = {"shares_by": "cluster", "shares": {"none": 1.0}}
    with pytest.raises(ConfigError, match="shares name none, but the groups by cluster are 0, 1"):
        draw_what_if(open_project(root), "plain", changes, None)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"shares_by": "origin", "shares": {"nws": 1}}, "origin has no 'nws': letters, news, "),
        ({"shares_by": ["source", "origin"], "shares": {"web": 1}}, "a group is source/origin"),
        ({"shares_by": ["source", "origin"], "shares": {"web/nws": 1}}, "origin has no 'nws'"),
    ],
)
def test_shares_of_what_cannot_be_there_are_refused_before_a_run(
    settings: dict[str, Any], says: str, root: Path, tmp_path: Path
) -> None:
    other = copy_project(root, tmp_path / "project")
    settings_changed("mixtures", "plain", to={"budget_tokens": BUDGET, **settings})(other)
    project = open_project(other)
    plan = Planner(project).plan()
    assert says in refusals(Recipes(project), plan)["mixture/plain"]


def test_a_group_with_too_little_is_refused_with_the_nearest_budget(root: Path) -> None:
    changes = {"shares_by": "language", "shares": {"de": 1.0}, "budget_tokens": 20_000}
    with pytest.raises(InfeasibleMixtureError, match=r"de would draw 20,000 .* nearest feasible"):
        draw_what_if(open_project(root), "plain", {**changes, "max_copies": 1}, None)


def test_too_many_groups_are_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "MOST_GROUPS", 2)
    changes = {"shares_by": ["source", "language"], "seed": 5}
    with pytest.raises(ConfigError, match="2 groups by source/language at most"):
        draw_what_if(open_project(root), "plain", changes, None)


def test_a_word_that_is_no_axis_is_refused_in_other_settings_too(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"no 'kind'; there are source, language, .* origin"):
        draw_what_if(open_project(root), "plain", {"shares_by": ["kind"]}, None)


def test_other_settings_may_hold_shares_by_a_label(root: Path, tmp_path: Path) -> None:
    other = copy_project(root, tmp_path / "project")
    changes = {"shares_by": ["origin"], "shares": "uniform"}
    drawn = draw_what_if(open_project(other), "plain", changes, None)
    assert set(drawn.facts["groups"]) == {"letters", "news", "web"}
    assert verify(open_project(other), "plain", drawn.data_version)["holds"]


def test_only_a_mixture_that_names_a_label_is_made_from_it(root: Path) -> None:
    graph = build_defs(open_project(root), with_report=False).resolve_asset_graph()
    after = {
        key.to_user_string()
        for node in graph.asset_nodes
        if node.key.to_user_string() == "label_origin"
        for key in node.child_keys
    }
    assert {key for key in after if key.startswith("mixture/")} == {
        "mixture/origins",
        "mixture/given_origins",
    }
