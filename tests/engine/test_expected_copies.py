"""What a ledger expects is its design's, without the luck of its draw; older versions stay."""

from pathlib import Path
from typing import Any

import pytest

from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.upkeep.repair import check_lake, repair
from samplemix_dagster.runs.work.run import run_project
from samplemix_dagster.stages.mixture.drawing.drawn import MIXTURE
from samplemix_dagster.trace.verify.verifying import verify
from tests.engine.changes import turn_a_dial
from tests.engine.runs import ledgers, manifest, rows, run, version
from tests.projects import (
    copy_project,
    finished_project,
    needs_encoder,
    open_project,
    read_settings,
    write_settings,
)

pytestmark = needs_encoder

GIVEN = {"news": 0.5, "web": 0.3, "letters": 0.2}


def expected_tokens(root: Path, mixture: str) -> dict[str, float]:
    """Expected copies x tokens, by source."""
    found = rows(
        root,
        "select source, sum(expected_copies * num_tokens) as tokens from ledger "
        f"where mixture = '{mixture}' group by source",
    )
    return {row["source"]: row["tokens"] for row in found}


def with_mixtures(root: Path, **mixtures: Any) -> None:
    settings = read_settings(root)
    settings["mixtures"] |= mixtures
    write_settings(root, settings)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with mixtures of each kind of shares."""
    root = copy_project(finished_project(), tmp_path_factory.mktemp("held") / "project")
    with_mixtures(
        root,
        proportional={"budget_tokens": 5000, "shares": "proportional"},
        given={"budget_tokens": 5000, "shares": GIVEN, "max_copies": 2},
    )
    run(root)
    return root


@pytest.mark.parametrize("mixture", ["default", "flat"])
def test_with_free_shares_expected_tokens_are_the_budget(mixture: str, held: Path) -> None:
    budget = manifest(held, mixture)["report"]["budget_tokens"]
    assert sum(expected_tokens(held, mixture).values()) == pytest.approx(budget, rel=1e-4)


def test_with_given_shares_a_source_expects_its_share_of_the_budget(held: Path) -> None:
    found = expected_tokens(held, "given")
    wanted = {source: pytest.approx(share * 5000, rel=1e-4) for source, share in GIVEN.items()}
    assert found == wanted


def test_with_proportional_shares_a_source_expects_its_share_of_the_corpus(held: Path) -> None:
    sources = manifest(held, "proportional")["report"]["sources"]
    found = expected_tokens(held, "proportional")
    wanted = {
        source: pytest.approx(entry["share_before"] * 5000, rel=1e-4)
        for source, entry in sources.items()
    }
    assert found == wanted


def test_a_seed_moves_draws_and_not_what_is_expected(held: Path, tmp_path: Path) -> None:
    other = copy_project(held, tmp_path / "project")
    with_mixtures(other, given={"budget_tokens": 5000, "shares": GIVEN, "max_copies": 2, "seed": 7})
    run(other)
    columns = "doc_id, source, shard, row, expected_copies"
    ask = f"select {columns} from ledger where mixture = 'given' order by all"
    assert rows(other, ask) == rows(held, ask)
    assert ledgers(other)["given"] != ledgers(held)["given"]


# -- versions of before ----------------------------------------------------------------------------


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose mixtures were drawn by the code before."""
    root = copy_project(finished_project(), tmp_path / "older")
    with monkeypatch.context() as patch:
        patch.setattr(MIXTURE, "version", 1)
        patch.setattr(MIXTURE, "older", (1,))
        turn_a_dial(root)
        run(root)
    assert manifest(root)["recipe"]["stage_version"] == 1
    return root


def test_an_older_version_stays_current_and_holds(older: Path) -> None:
    assert Planner(open_project(older)).plan().is_empty
    found = verify(open_project(older), "default", version(older))
    assert {check["state"] for check in found["checks"]} == {"holds"}


def test_an_older_version_is_mended_as_it_was(older: Path) -> None:
    before = ledgers(older)
    folder = older / f".samplemix/lake/mixtures/default/{version(older)}"
    [ledger, *_] = sorted((folder / "ledger").iterdir())
    ledger.unlink()
    project = open_project(older)
    check_lake(project)
    [sentence] = repair(project)
    assert "drawn again from what is stored, to the very bytes" in sentence
    assert ledgers(older) == before


def test_an_older_version_that_is_gone_is_drawn_as_it_was(older: Path) -> None:
    before = ledgers(older)
    folder = f"mixtures/default/{version(older)}"
    open_project(older).lake.remove_folder(folder)
    run_project(open_project(older))
    assert ledgers(older) == before


def test_the_same_draws_have_the_same_copies_by_either_definition(older: Path) -> None:
    newer = copy_project(finished_project(), older.parent / "newer")
    turn_a_dial(newer)
    run(newer)
    assert version(newer) != version(older)
    ask = "select source, row, doc_id, copies from ledger where mixture = 'default' order by all"
    assert rows(newer, ask) == rows(older, ask)
