"""Excluded documents: not drawn, never lost, told by everything that tells of a ledger."""

from collections.abc import Callable
from pathlib import Path

import pytest

from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.upkeep.garbage import find_garbage
from samplemix_dagster.stages.exclusions.takedown import takedown_file
from samplemix_dagster.stages.mixture.published.publishing import ledger_verdict
from samplemix_dagster.storage.takedown_entries import Entry
from samplemix_dagster.storage.takedowns import add_takedowns
from samplemix_dagster.tables import EXCLUSIONS
from samplemix_dagster.trace.difference.difference import difference
from samplemix_dagster.trace.explain import explain_document
from samplemix_dagster.trace.lineage import lineage
from samplemix_dagster.trace.verify.verifying import verify
from samplemix_dagster.trace.versions import summary
from samplemix_dagster.validation.choosing.corpus import read_corpus
from tests.engine.changes import settings_changed
from tests.engine.runs import Run, copies, ledgers, manifest, rows, run, run_changed, version
from tests.projects import finished_project, needs_encoder, open_project, prose

pytestmark = needs_encoder
WHY = "the author asked for it"


def takes_down(*values: str, what: str = "id") -> Callable[[Path], None]:
    """A change: these are taken down."""

    def change(root: Path) -> None:
        entries = [Entry(what, value, WHY, "2026-01-31") for value in values]
        add_takedowns(takedown_file(open_project(root)), entries)

    return change


@pytest.fixture(scope="module")
def gone() -> list[str]:
    """Documents that both mixtures drew, one of which stands in the corpus twice."""
    twice = doc_id(prose("news-0-5"))
    both = [copies(finished_project(), name) for name in ("default", "flat")]
    drawn = sorted(one for one in both[0] if all(found[one] for found in both) and one != twice)
    return [*drawn[:3], twice]


@pytest.fixture(scope="module")
def taken(gone: list[str], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run after they were taken down. Nobody changes it."""
    return run_changed(tmp_path_factory.mktemp("taken") / "project", takes_down(*gone))


def test_only_the_exclusions_and_what_is_drawn_run_again(taken: Run) -> None:
    drawn = {f"{kind}/{name}" for kind in ("mixture", "export") for name in ("default", "flat")}
    assert taken.assets == {"exclusions", *drawn}
    assert taken.planned == taken.done
    assert Planner(taken.project).plan().is_empty


@pytest.mark.parametrize("mixture", ["default", "flat"])
def test_nothing_that_is_excluded_is_drawn(mixture: str, taken: Run, gone: list[str]) -> None:
    found = copies(taken.root, mixture)
    assert {found[one] for one in gone} == {0}


@pytest.mark.parametrize("mixture", ["default", "flat"])
def test_every_document_of_a_ledger_has_one_fate(mixture: str, taken: Run, gone: list[str]) -> None:
    found = rows(
        taken.root,
        "select coalesce(reason, 'drawn') as fate, count(*)::bigint as n from ledger "
        f"where mixture = '{mixture}' group by 1",
    )
    fates = {row["fate"]: row["n"] for row in found}
    assert fates["takedown"] == len(gone)
    assert fates["duplicate"] == 4
    assert sum(fates.values()) == 120
    report = manifest(taken.root, mixture)["report"]
    assert fates["drawn"] == report["num_documents_drawn"]
    assert report["excluded"]["takedown"]["documents"] == len(gone)
    assert sum(report["copies"].values()) == report["num_documents"] == 116


def test_the_law_and_the_weights_stay_those_of_the_whole_corpus(taken: Run) -> None:
    sql = "select doc_id, source, row, weight from ledger where mixture = 'default' order by all"
    assert rows(taken.root, sql) == rows(finished_project(), sql)


@pytest.mark.parametrize("mixture", ["default", "flat"])
def test_other_documents_only_gain_what_refills_the_budget(
    mixture: str, taken: Run, gone: list[str]
) -> None:
    before, after = copies(finished_project(), mixture), copies(taken.root, mixture)
    lost = {one for one in before if after[one] < before[one]}
    assert lost == {one for one in gone if before[one]}
    left = [manifest(root, mixture)["report"] for root in (finished_project(), taken.root)]
    assert all(0 <= one["budget_tokens"] - one["realised_tokens"] < 200 for one in left)


def test_a_reason_comes_with_its_detail(taken: Run, gone: list[str]) -> None:
    found = rows(taken.root, "select * from exclusions order by doc_id")
    assert found == [{"doc_id": one, "reason": "takedown", "detail": WHY} for one in sorted(gone)]
    told = rows(taken.root, "select distinct reason, detail from ledger where detail is not null")
    assert told == [{"reason": "takedown", "detail": WHY}]


def test_explain_says_why_an_excluded_document_is_not_drawn(taken: Run, gone: list[str]) -> None:
    for mixture in (None, "default"):
        [found, *_] = explain_document(taken.project, gone[0], mixture)["mixtures"]
        assert found["reason"] == "takedown"
        assert EXCLUSIONS["takedown"] in found["because"]
        assert WHY in found["because"]


def test_both_versions_verify_and_the_later_names_its_exclusions(taken: Run) -> None:
    for one in (version(finished_project()), version(taken.root)):
        found = verify(taken.project, "default", one)
        assert found["holds"], found["checks"]
    nodes = {
        node["name"] for node in lineage(taken.project, "default", version(taken.root))["nodes"]
    }
    assert "exclusions" in nodes
    assert "exclusions" not in manifest(finished_project())["fits"]


def test_a_ledger_whose_exclusions_are_not_the_reports_is_not_published(taken: Run) -> None:
    verdict = ledger_verdict(taken.project, "default", version(taken.root))
    assert verdict.passed, verdict.sentence
    assert verdict.facts["excluded"] == 8
    assert not ledger_verdict(taken.project, "default", version(finished_project())).sentence


def test_a_difference_is_put_down_to_what_is_excluded(taken: Run, gone: list[str]) -> None:
    before, after = version(finished_project()), version(taken.root)
    found = difference(taken.project, ("default", before), ("default", after))
    [cause] = found["causes"]
    assert cause["causes"] == ["exclusions"]
    assert cause["what"] == [f"takedown 0 -> {len(gone)} documents"]
    assert found["drawn_states_match"] == {"a": True, "b": True}


def test_garbage_leaves_what_a_version_excluded(taken: Run) -> None:
    removed = find_garbage(taken.project, grace_seconds=0).keys
    assert not [key for key in removed if key.startswith("fits/exclusions")]


def test_an_arm_that_knows_no_mixture_draws_nothing_that_is_excluded(
    taken: Run, gone: list[str]
) -> None:
    ids = {str(one, "ascii") for one in read_corpus(Recipes(taken.project)).ids}
    assert len(ids) == 116 - len(gone)
    assert not ids & set(gone)


def test_show_says_how_many_are_excluded(taken: Run, gone: list[str]) -> None:
    assert summary(manifest(taken.root))["excluded"]["takedown"]["documents"] == len(gone)
    assert "excluded" not in summary(manifest(finished_project()))


def test_what_names_nothing_of_the_corpus_makes_no_mixture_stale(root: Path) -> None:
    before = ledgers(root)
    takes_down("0" * 32)(root)
    assert run(root).assets == {"exclusions"}
    assert ledgers(root) == before
    assert Planner(open_project(root)).plan().is_empty


def test_without_the_list_the_draw_is_what_it_was(root: Path, gone: list[str]) -> None:
    before = ledgers(root)
    takes_down(gone[0])(root)
    run(root)
    assert ledgers(root) != before
    takedown_file(open_project(root)).unlink()
    run(root)
    assert ledgers(root) == before


@pytest.mark.parametrize("shares", ["proportional", "kept", "uniform"])
def test_held_shares_count_what_can_be_drawn(shares: str, root: Path) -> None:
    news = rows(root, "select doc_id from documents where source = 'news' and row < 15")
    settings_changed("mixtures", "flat", "shares", to=shares)(root)
    takes_down(*(row["doc_id"] for row in news))(root)
    run(root)
    found = rows(
        root,
        "select source, sum(num_tokens) filter (where coalesce(reason, '') "
        "not in ('duplicate', 'takedown'))::double as tokens, "
        "sum(copies * num_tokens)::double as drawn "
        "from ledger where mixture = 'flat' group by 1 order by 1",
    )
    total = sum(row["tokens"] for row in found)
    for row in found:
        share = 1 / 3 if shares == "uniform" else row["tokens"] / total
        assert row["drawn"] / 6000 == pytest.approx(share, abs=200 / 6000)
    report = manifest(root, "flat")["report"]
    assert report["promised"]["mean_quality"] == pytest.approx(report["mean_quality"], abs=0.06)


def test_a_budget_that_only_what_is_excluded_could_fill_is_refused_by_name(root: Path) -> None:
    every = rows(root, "select doc_id from documents where source <> 'news'")
    takes_down(*(row["doc_id"] for row in every))(root)
    settings_changed("mixtures", "default", "budget_tokens", to=30_000)(root)
    from samplemix_dagster.errors import InfeasibleMixtureError

    with pytest.raises(InfeasibleMixtureError, match="nearest"):
        run(root)
