"""A mixture that goes on from another version: what was consumed counts, is kept and is told."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from samplemix_dagster.errors import ConfigError
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.upkeep.garbage import find_garbage
from samplemix_dagster.runs.work.run import run_project
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.trace.difference.difference import difference
from samplemix_dagster.trace.explain import explain_document
from samplemix_dagster.trace.exports.exported import draws_of, open_export
from samplemix_dagster.trace.lineage import lineage
from samplemix_dagster.trace.papers.card import card
from samplemix_dagster.trace.papers.facts import facts_of
from samplemix_dagster.trace.papers.summary import californian, european
from samplemix_dagster.trace.verify.verifying import verify
from tests.engine.runs import copies, ledgers, manifest, rows, version
from tests.projects import (
    copy_project,
    finished_project,
    needs_encoder,
    open_project,
    read_settings,
    shard_rows,
    write_settings,
    write_shard,
)

pytestmark = needs_encoder
BUDGET = 9000
CONSUMED = 4000


def with_mixtures(root: Path, **mixtures: Mapping[str, Any]) -> Path:
    """Replace all mixtures but the default one, and run."""
    settings = read_settings(root)
    settings["mixtures"] = {"default": settings["mixtures"]["default"], **mixtures}
    write_settings(root, settings)
    run_project(open_project(root))
    return root


def after(root: Path, tokens: int, **settings: Any) -> dict[str, Any]:
    """Return a mixture that goes on from the default one."""
    return {"budget_tokens": BUDGET, "after": {"version": version(root), "tokens": tokens}} | (
        settings
    )


@pytest.fixture(scope="module")
def going_on(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose mixtures go on from the default one. Nobody changes it."""
    root = copy_project(finished_project(), tmp_path_factory.mktemp("after") / "project")
    drawn = manifest(root)["report"]["realised_tokens"]
    return with_mixtures(
        root,
        small={"budget_tokens": 4000},
        both={"budget_tokens": drawn + BUDGET},
        next=after(root, drawn),
        some=after(root, CONSUMED),
        none=after(root, 0, budget_tokens=8000),
        turned=after(root, drawn, balance={"quality": 3}, max_copies=2, budget_tokens=20_000),
        held=after(root, drawn, shares="uniform"),
    )


def consumed(root: Path, mixture: str) -> Counter[str]:
    """How often each document was consumed before a mixture, by its ledger."""
    found = rows(
        root, f"select doc_id, consumed from ledger where mixture = '{mixture}' and consumed > 0"
    )
    return Counter({row["doc_id"]: row["consumed"] for row in found})


def begun(root: Path, mixture: str, tokens: int) -> Counter[str]:
    """How many draws of each document an export begins before some token."""
    found: Counter[str] = Counter()
    begins = 0
    for draw in draws_of(open_export(open_project(root), mixture)).to_pylist():
        if begins < tokens:
            found[draw["doc_id"]] += 1
        begins += draw["num_tokens"]
    return found


def test_what_was_consumed_and_what_goes_on_are_the_draw_of_both_budgets(going_on: Path) -> None:
    both = Counter(copies(going_on, "default")) + Counter(copies(going_on, "next"))
    assert both == Counter(copies(going_on, "both"))


def test_a_budget_is_nested_in_one_twice_as_large_document_by_document(going_on: Path) -> None:
    small, default, both = (
        Counter(copies(going_on, name)) for name in ("small", "default", "both")
    )
    assert small < default < both


def test_consumed_is_what_begins_before_the_last_token_in_the_order_of_the_export(
    going_on: Path,
) -> None:
    found = begun(going_on, "default", CONSUMED)
    assert 0 < found.total() < sum(copies(going_on).values())
    assert consumed(going_on, "some") == found


def test_where_nothing_was_consumed_the_ledger_is_the_plain_one(going_on: Path) -> None:
    found = ledgers(going_on)
    names = [sorted(found[name][1]) for name in ("default", "none")]
    assert names[0] == names[1]
    columns = "doc_id, row, num_tokens, weight, expected_copies, copies, reason, consumed"
    plain, other = (
        rows(going_on, f"select {columns} from ledger where mixture = '{name}' order by 1, 2")
        for name in ("default", "none")
    )
    assert plain == other


@pytest.mark.parametrize("mixture", ["next", "some", "turned", "held"])
def test_no_document_is_beyond_its_cap_over_both(mixture: str, going_on: Path) -> None:
    cap = manifest(going_on, mixture)["config"]["max_copies"]
    [most] = rows(
        going_on, f"select max(copies + consumed) as most from ledger where mixture = '{mixture}'"
    )
    assert 1 < most["most"] <= cap


@pytest.mark.parametrize("mixture", ["next", "some", "turned", "held"])
def test_the_budget_is_exact_and_every_document_is_accounted_for(
    mixture: str, going_on: Path
) -> None:
    report = manifest(going_on, mixture)["report"]
    [found] = rows(
        going_on,
        "select count(*) as documents, sum(copies * num_tokens)::bigint as tokens, "
        f"max(num_tokens) as longest from ledger where mixture = '{mixture}'",
    )
    [corpus] = rows(going_on, "select count(*) as documents from documents")
    assert found["documents"] == corpus["documents"]
    assert found["tokens"] == report["realised_tokens"]
    assert 0 <= report["budget_tokens"] - report["realised_tokens"] < found["longest"]


def test_shares_are_those_of_what_is_drawn_now(going_on: Path) -> None:
    sources = manifest(going_on, "held")["report"]["sources"]
    # Each source is within one document of its third: the longest has 450 tokens of 9,000.
    assert {name: round(one["share_after"], 1) for name, one in sources.items()} == dict.fromkeys(
        ("letters", "news", "web"), 0.3
    )


@pytest.mark.parametrize("mixture", ["next", "some", "turned", "held", "none"])
def test_such_a_version_is_verified(mixture: str, going_on: Path) -> None:
    found = verify(open_project(going_on), mixture, version(going_on, mixture))
    assert found["holds"]
    assert not found["is_broken"]


def test_nothing_is_stale_after_the_run(going_on: Path) -> None:
    assert Planner(open_project(going_on)).plan().tasks == ()


def test_a_version_named_by_its_first_digits_is_the_same(going_on: Path, tmp_path: Path) -> None:
    root = copy_project(going_on, tmp_path / "project")
    settings = read_settings(root)
    named = settings["mixtures"]["next"]["after"]
    named["version"] = f"default@{named['version'][:8]}"
    write_settings(root, settings)
    assert Planner(open_project(root)).plan().tasks == ()


def test_what_was_consumed_is_a_cause_of_a_difference(going_on: Path) -> None:
    project = open_project(going_on)
    found = difference(
        project, ("both", version(going_on, "both")), ("next", version(going_on, "next"))
    )
    assert [cause["causes"] for cause in found["causes"]] == [["budget"], ["after"]]
    assert found["drawn_states_match"] == {"a": True, "b": True}


def test_the_version_before_stands_in_the_lineage(going_on: Path) -> None:
    found = lineage(open_project(going_on), "next", version(going_on, "next"))
    [before] = [node for node in found["nodes"] if node["id"].startswith("version/")]
    assert before["version"] == version(going_on)
    assert before["is_there"]
    assert before["id"] in found["nodes"][0]["inputs"]


def test_an_explanation_says_how_many_copies_were_consumed(going_on: Path) -> None:
    [first] = rows(
        going_on,
        "select min(doc_id) as doc_id from ledger where mixture = 'turned' and copies > 0 "
        "and consumed > 0",
    )
    found = explain_document(open_project(going_on), first["doc_id"], "turned")
    [row] = found["mixtures"]
    assert row["consumed"] == 1
    assert "= 2, of which 1 were consumed before: 1 more" in row["because"]


def test_garbage_leaves_what_a_kept_version_goes_on_from(going_on: Path, tmp_path: Path) -> None:
    root = copy_project(going_on, tmp_path / "project")
    first = version(root)
    settings = read_settings(root)
    settings["mixtures"]["default"]["seed"] = 7
    write_settings(root, settings)
    run_project(open_project(root))
    assert version(root) != first
    found = find_garbage(open_project(root), keep=0, grace_seconds=0)
    assert f"default@{first}" in found.kept_versions
    assert not any(first in key for key in found.keys)


def test_documents_that_were_consumed_and_went_are_counted(going_on: Path, tmp_path: Path) -> None:
    root = copy_project(going_on, tmp_path / "project")
    drawn = rows(
        root,
        "select sum(copies)::bigint as draws, count(*) as documents from ledger where "
        "mixture = 'default' and copies > 0 and shard = 'data/letters/part-1.parquet'",
    )
    (root / "data/letters/part-1.parquet").unlink()
    run_project(open_project(root))
    gone = manifest(root, "next")["report"]["after"]["gone"]
    assert {"draws": gone["draws"], "documents": gone["documents"]} == drawn[0]
    assert drawn[0]["draws"] > 0


def test_how_documents_lie_in_shards_changes_no_draw_of_what_goes_on(
    going_on: Path, tmp_path: Path
) -> None:
    root = copy_project(going_on, tmp_path / "project")
    before = copies(root, "next"), consumed(root, "next")
    write_shard(root, "news", 0, shard_rows("news", 0)[::-1])
    run_project(open_project(root))
    assert (copies(root, "next"), consumed(root, "next")) == before


def test_a_chain_counts_what_was_consumed_of_every_version(going_on: Path, tmp_path: Path) -> None:
    root = copy_project(going_on, tmp_path / "project")
    named = {"version": version(root, "next"), "tokens": 5000}
    with_mixtures(
        root,
        next=read_settings(root)["mixtures"]["next"],
        third={"budget_tokens": 7000, "after": named},
    )
    assert consumed(root, "third") == consumed(root, "next") + begun(root, "next", 5000)
    assert verify(open_project(root), "third", version(root, "third"))["holds"]


def refused(root: Path, **named: Any) -> str:
    settings = read_settings(root)
    settings["mixtures"]["next"]["after"].update(named)
    write_settings(root, settings)
    with pytest.raises(ConfigError) as caught:
        Planner(open_project(root)).plan()
    return str(caught.value)


def line(root: Path, key: str) -> str:
    lines = (root / "samplemix.yaml").read_text(encoding="utf-8").splitlines()
    below = lines.index("  next:")
    [number] = [n for n in range(below, below + 5) if lines[n].strip().startswith(f"{key}:")]
    return f"{root / 'samplemix.yaml'}:{number + 1}: mixtures.next.after.{key}: "


def test_a_version_that_is_nowhere_is_refused_with_its_line(going_on: Path, tmp_path: Path) -> None:
    root = copy_project(going_on, tmp_path / "project")
    found = refused(root, version="abcdef0")
    assert found.startswith(
        f"{line(root, 'version')}the lake has no version 'abcdef0'; there are: "
    )
    assert f"default@{version(root)[:12]}" in found


def test_more_tokens_than_the_version_has_are_refused_with_their_line(
    going_on: Path, tmp_path: Path
) -> None:
    root = copy_project(going_on, tmp_path / "project")
    found = refused(root, tokens=8001)
    assert found.startswith(line(root, "tokens"))
    assert "so training cannot have consumed 8,001 of it" in found


def test_a_name_without_a_version_is_refused(going_on: Path, tmp_path: Path) -> None:
    root = copy_project(going_on, tmp_path / "project")
    found = refused(root, version="default")
    assert found.startswith(line(root, "version"))
    assert "which version a name means moves" in found


def test_kept_duplicates_and_what_was_consumed_do_not_go_together(
    going_on: Path, tmp_path: Path
) -> None:
    root = copy_project(going_on, tmp_path / "project")
    settings = read_settings(root)
    settings["corpus"]["duplicates"] = "keep"
    write_settings(root, settings)
    with pytest.raises(ConfigError, match=r"mixtures\.next\.after: what was consumed is known"):
        open_project(root)


def test_a_lost_ledger_of_the_version_before_is_drawn_again_first(
    going_on: Path, tmp_path: Path
) -> None:
    root = copy_project(going_on, tmp_path / "project")
    before = copies(root, "next")
    lake = open_project(root).lake
    folder = keys.version_folder("default", version(root))
    lost = min(manifest(root)["ledger"])
    bytes_before = lake.digest(f"{folder}/{lost}")
    lake.remove(f"{folder}/{lost}")
    lake.remove_folder(keys.version_folder("next", version(root, "next")))
    run_project(open_project(root))
    assert lake.digest(f"{folder}/{lost}") == bytes_before
    assert copies(root, "next") == before


def test_papers_say_what_was_consumed_before(going_on: Path) -> None:
    project = open_project(going_on)
    counted = sum(consumed(going_on, "some").values())
    for paper in (european, californian, lambda facts: card(facts, None)):
        told = paper(facts_of(project, "some", version(going_on, "some")))
        assert f"{CONSUMED:,} tokens ({counted:,} draws of" in told
        assert "not among these numbers" in told
        alone = paper(facts_of(project, "small", version(going_on, "small")))
        assert "not among these numbers" not in alone
