"""Documents that hold text of an evaluation: found, told, and not drawn."""

import json
from pathlib import Path

import pytest

from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.errors import ConfigError, InputError
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.upkeep.garbage import find_garbage
from samplemix_dagster.trace.contaminated import contaminated
from samplemix_dagster.trace.difference.difference import difference
from samplemix_dagster.trace.verify.verifying import verify
from tests.engine.changes import rewrite_one_document
from tests.engine.runs import Run, copies, ledgers, manifest, rows, run, run_changed, version
from tests.projects import (
    copy_project,
    finished_project,
    needs_encoder,
    open_project,
    prose,
    read_settings,
    write_settings,
)

pytestmark = needs_encoder
HOLDERS = {"news-0-5": "quiz", "letters-1-4": "quiz", "web-0-2": "other"}


def name_evaluations(root: Path, **keys: object) -> None:
    """Write two sets whose items stand in three documents, and name them."""
    words = {name: prose(name, "de" if "letters" in name else "en").split() for name in HOLDERS}
    question = "\n".join(words["news-0-5"][2:30]).upper()
    quiz = [
        {"question": question, "choices": ["yes", "no"]},
        {"question": "Why? " + prose("nowhere"), "choices": ["one", "two"]},
        {"question": " ".join(words["letters-1-4"][1:9]), "answer": "ja"},
        {"question": "too short"},
    ]
    folder = root / "eval"
    folder.mkdir(exist_ok=True)
    (folder / "quiz.jsonl").write_text("".join(json.dumps(q) + "\n" for q in quiz), "utf-8")
    (folder / "other.txt").write_text(" - ".join(words["web-0-2"][:20]), "utf-8")
    settings = read_settings(root)
    evaluation = {"quiz": "eval/quiz.jsonl", "other": "eval/other.txt"}
    settings["exclude"] = {"evaluation": evaluation, **keys}
    write_settings(root, settings)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run after evaluations were named. Nobody changes it."""
    return run_changed(tmp_path_factory.mktemp("contaminated") / "project", name_evaluations)


def ids(*names: str) -> set[str]:
    return {doc_id(prose(name, "de" if "letters" in name else "en")) for name in names}


def test_what_holds_an_item_is_in_the_ledger_with_the_sets_name(found: Run) -> None:
    told = rows(
        found.root,
        "select doc_id, detail from ledger where reason = 'contaminated' and mixture = 'default'",
    )
    expected = {(*ids(name), evaluation) for name, evaluation in HOLDERS.items()}
    assert {(row["doc_id"], row["detail"]) for row in told} == expected
    assert manifest(found.root)["report"]["excluded"]["contaminated"]["documents"] == len(HOLDERS)


@pytest.mark.parametrize("mixture", ["default", "flat"])
def test_none_of_it_is_drawn(mixture: str, found: Run) -> None:
    drawn = copies(found.root, mixture)
    assert {drawn[one] for one in ids(*HOLDERS)} == {0}


def test_only_what_is_new_runs_and_then_nothing(found: Run) -> None:
    drawn = {f"{kind}/{name}" for kind in ("mixture", "export") for name in ("default", "flat")}
    assert found.assets == {"evaluation_texts", "contamination", "exclusions", *drawn}
    assert found.planned == found.done
    assert Planner(found.project).plan().is_empty


def test_the_report_counts_each_set_and_shows_what_stands_there(found: Run) -> None:
    told = contaminated(found.project)
    by_set = {one["evaluation"]: one for one in told["sets"]}
    quiz = by_set["quiz"]
    assert (quiz["items"], quiz["looked_for"], quiz["whole"], quiz["too_short"]) == (4, 3, 1, 1)
    assert (quiz["items_found"], quiz["documents"]) == (2, 2)
    assert by_set["other"]["documents"] == 1
    by_id = {row["doc_id"]: row for row in told["documents"]}
    assert set(by_id) == ids(*HOLDERS)
    words = prose("news-0-5").lower().split()
    [one] = ids("news-0-5")
    assert " ".join(words[2:30]) in by_id[one]["snippet"]
    assert by_id[one]["item"] == 0


def test_both_versions_verify_and_garbage_leaves_what_they_need(found: Run) -> None:
    for one in (version(finished_project()), version(found.root)):
        told = verify(found.project, "default", one)
        assert told["holds"], told["checks"]
    assert not [key for key in find_garbage(found.project, grace_seconds=0).keys if "contam" in key]


def test_a_difference_is_put_down_to_it(found: Run) -> None:
    before, after = version(finished_project()), version(found.root)
    [cause] = difference(found.project, ("default", before), ("default", after))["causes"]
    assert cause["causes"] == ["exclusions"]
    assert cause["what"] == ["contaminated 0 -> 3 documents"]


def test_a_set_of_which_nothing_stands_there_makes_no_mixture_stale(root: Path) -> None:
    before = ledgers(root)
    name_evaluations(root)
    (root / "eval/quiz.jsonl").write_text(json.dumps({"q": prose("nowhere")}) + "\n", "utf-8")
    (root / "eval/other.txt").write_text(prose("nowhere else"), "utf-8")
    assert run(root).assets == {"evaluation_texts", "contamination", "exclusions"}
    assert ledgers(root) == before


def test_a_share_of_an_item_can_be_asked_for(root: Path) -> None:
    name_evaluations(root, share=1.0)
    words = prose("news-0-5").split()
    more = {"question": " ".join([*words[:20], *prose("nowhere").split()])}
    (root / "eval/quiz.jsonl").write_text(json.dumps(more) + "\n", "utf-8")
    run(root)
    told = rows(root, "select doc_id from exclusions")
    assert {row["doc_id"] for row in told} == ids("web-0-2")


def test_a_field_without_text_is_an_error_by_name(root: Path) -> None:
    name_evaluations(root)
    settings = read_settings(root)
    quiz = {"path": "eval/quiz.jsonl", "text": "answer"}
    settings["exclude"]["evaluation"] = {"quiz": quiz}
    write_settings(root, settings)
    with pytest.raises(InputError, match=r"exclude\.evaluation\.quiz: none of its 4 rows has text"):
        run(root)


def test_files_that_are_not_there_are_an_error_by_name(root: Path) -> None:
    name_evaluations(root)
    (root / "eval/other.txt").unlink()
    with pytest.raises(InputError, match=r"exclude\.evaluation\.other: eval/other\.txt names no"):
        run(root)


def test_a_rewritten_shard_alone_is_looked_through_again(found: Run, tmp_path: Path) -> None:
    own = copy_project(found.root, tmp_path / "again")
    rewrite_one_document(own)
    done = run(own)
    assert sum(count > 0 for count in done.counts("contamination").values()) == 1


def test_the_report_without_a_set_says_how_to_name_one(finished: Path) -> None:
    with pytest.raises(ConfigError, match="no evaluation is named"):
        contaminated(open_project(finished))
