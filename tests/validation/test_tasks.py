"""Tasks in an evaluation: answers that were learned are found, and every row is accounted for."""

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from samplemix_dagster.cli.root import app
from samplemix_dagster.config.evaluation import Evaluation
from samplemix_dagster.core.hashing import doc_id, fingerprint
from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import InputError
from samplemix_dagster.validation.evaluate import prepare, run
from samplemix_dagster.validation.texts import read_texts, texts_digest
from tests.projects import (
    copy_project,
    finished_project,
    needs_encoder,
    open_project,
    prose,
    shard_rows,
)

pytestmark = needs_encoder
SEEDS, BUDGET, ITEMS = 8, 12_000, 60


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(finished_project(), tmp_path_factory.mktemp("tasks") / "project")


@pytest.fixture
def project(root: Path) -> Project:
    return open_project(root)


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> str:
    rows = [{"text": prose(f"held-out-{n}", sentences=12)} for n in range(20)]
    return written(tmp_path_factory.mktemp("held-out") / "en.jsonl", rows)


def written(file: Path, rows: list[dict[str, Any]]) -> str:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    content = lines.encode()
    file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)
    return str(file)


def learned(count: int = ITEMS) -> list[dict[str, Any]]:
    """Questions of ten words of the corpus: how a document goes on, among four ways.

    Nothing of thirteen words stands in the corpus, so they are not refused.
    """
    luck = random.Random(0)
    documents = [row["text"].split() for shard in (0, 1) for row in shard_rows("news", shard)]
    rows = []
    for number in range(count):
        words = documents[number % len(documents)]
        begin = luck.randrange(10, len(words) - 10)
        ends = [" ".join(words[begin + 6 : begin + 10])]
        while len(ends) < 4:
            shuffled = luck.sample(words, 4)
            if " ".join(shuffled) not in ends:
                ends.append(" ".join(shuffled))
        order = luck.sample(range(4), 4)
        rows.append(
            {
                "query": " ".join(words[begin : begin + 6]),
                "choices": [ends[one] for one in order],
                "gold": order.index(0),
            }
        )
    return rows


def settings(texts: str, tasks: dict[str, Any], **changes: Any) -> Evaluation:
    given = {"budget_tokens": BUDGET, "seeds": SEEDS, "pool": 1.0, "ladder": []}
    return Evaluation(texts={"en": texts}, tasks=tasks, **{**given, **changes})


def judged(project: Project, asked: Evaluation) -> Any:
    return run(prepare(project, ["default"], asked))


def test_answers_that_were_learned_are_found(
    project: Project, held_out: str, tmp_path: Path
) -> None:
    file = written(tmp_path / "learned.jsonl.gz", learned())
    ids = [{"source": "news", "id": row["id"]} for n in (0, 1) for row in shard_rows("news", n)]
    arm = f"news={written(tmp_path / 'news.jsonl', ids)}"
    found = run(prepare(project, [arm], settings(held_out, {"learned": file})))["arms"]
    knows, baseline = (found[name]["tasks"]["learned"] for name in ("news", "proportional"))
    assert knows["accuracy"] > 0.9 > baseline["accuracy"] > baseline["chance"] == 0.25
    assert knows["difference"] == pytest.approx(knows["accuracy"] - baseline["accuracy"], abs=2e-5)
    assert 0.0 < knows["low"] < knows["difference"] < knows["high"]
    assert (baseline["difference"], baseline["low"], baseline["high"]) == (0.0, 0.0, 0.0)


def test_a_shuffled_key_leaves_chance(project: Project, held_out: str, tmp_path: Path) -> None:
    luck = random.Random(1)
    rows = [{**row, "gold": luck.randrange(4)} for row in learned()]
    found = judged(project, settings(held_out, {"t": written(tmp_path / "t.jsonl", rows)}))
    figures = found["arms"]["proportional"]["tasks"]["t"]
    # Two deviations of sixty items of which a quarter is right: 0.11.
    assert figures["accuracy"] == pytest.approx(0.25, abs=0.12)


def test_the_order_of_choices_and_of_rows_changes_nothing(
    project: Project, held_out: str, tmp_path: Path
) -> None:
    luck, rows = random.Random(2), learned(20)
    turned = []
    for row in luck.sample(rows, len(rows)):
        order = luck.sample(range(4), 4)
        choices = [row["choices"][one] for one in order]
        turned.append({**row, "choices": choices, "gold": "ABCD"[order.index(row["gold"])]})
    first, other = (
        prepare(project, [], settings(held_out, {"t": written(tmp_path / name, found)}))
        for name, found in (("first.jsonl", rows), ("other.jsonl", turned))
    )
    assert first.address == other.address
    assert [one.address for one in first.wanted] == [one.address for one in other.wanted]


def test_a_task_is_a_group_in_a_set_of_its_own_and_leaves_texts_as_they_were(
    project: Project, held_out: str, tmp_path: Path
) -> None:
    file = written(tmp_path / "learned.jsonl", learned(20))
    plain = judged(project, settings(held_out, {}))
    found = judged(project, settings(held_out, {"learned": file}))
    assert found["sets"] == {"all": ["en"], "tasks": ["learned"]}
    assert list(found["texts"]) == ["en"]
    assert found["ranking"] == plain["ranking"]
    for name, arm in found["arms"].items():
        assert set(arm["groups"]) == {"all", "tasks", "en", "learned"}
        assert arm["groups"]["tasks"] == arm["groups"]["learned"]
        assert arm["groups"]["all"] == plain["arms"][name]["groups"]["all"]
        assert set(arm["tasks"]) == {"learned"}
        keys = ["accuracy", "difference", "low", "high", "chance"]
        assert set(arm["tasks"]["learned"]) == set(keys)
    assert "tasks" not in plain
    assert all("tasks" not in arm for arm in plain["arms"].values())


def test_without_a_task_trainings_stay_where_they_were(project: Project, held_out: str) -> None:
    texts = read_texts(project, settings(held_out, {}))
    before = fingerprint([[text.group, text.doc_id, doc_id(text.piece)] for text in texts])
    assert texts_digest(texts) == before
    prepared = prepare(project, [], settings(held_out, {}))
    assert prepared.judges[0].trainings.of(prepared.draws[0]).address == fingerprint(
        {
            "learner": "ngram",
            "version": 1,
            "order": 3,
            "vocabulary": prepared.tokens.vocabulary,
            "tokenizer": prepared.tokens.digest,
            "texts": before,
            "draw": prepared.draws[0].digest,
        }
    )


def test_bits_per_byte_are_those_of_the_right_answers(
    project: Project, held_out: str, tmp_path: Path
) -> None:
    rows = learned(20)
    answers = [
        {"context": row["query"], "continuation": row["choices"][row["gold"]]} for row in rows
    ]
    files = {
        "chosen": written(tmp_path / "chosen.jsonl", rows),
        "alone": written(tmp_path / "alone.jsonl", answers),
    }
    arm = judged(project, settings(held_out, files))["arms"]["default"]
    assert arm["groups"]["chosen"] == arm["groups"]["alone"]
    assert set(arm["tasks"]["alone"].values()) == {None}


def test_every_row_is_judged_or_refused_or_left_out_or_rejected_with_a_reason(
    project: Project, held_out: str, tmp_path: Path
) -> None:
    good = learned(40)
    standing = {**good[0], "query": shard_rows("news", 0)[3]["text"]}
    bad = [{**good[0], "gold": "Z"}, {**good[1], "choices": ["one"]}, {**good[2], "query": 3}]
    file = Path(written(tmp_path / "t.jsonl", [*good, good[5], standing, *bad, bad[0]]))
    file.write_bytes(file.read_bytes() + b"not json\n\n")
    found = judged(project, settings(held_out, {"t": str(file)}))["tasks"]["t"]
    assert found == {
        "form": "multiple choice",
        "rows": 47,
        "judged": 40,
        "refused": 1,
        "left_out": 0,
        "rejected": {
            "choices is no list of two texts or more": 1,
            "gold is none of the options": 2,
            "invalid json": 1,
            "query is no text": 1,
            "stands there twice": 1,
        },
    }
    few = judged(project, settings(held_out, {"t": str(file)}, documents=15))["tasks"]["t"]
    assert few["left_out"] == 41 - 15
    assert few["judged"] + few["refused"] == 15


def test_a_task_that_stands_in_the_corpus_is_refused(
    project: Project, held_out: str, tmp_path: Path
) -> None:
    rows = [
        {"context": text.rpartition(" ")[0], "continuation": text.rpartition(" ")[2]}
        for text in (row["text"] for row in shard_rows("news", 0))
    ]
    file = written(tmp_path / "t.jsonl", rows)
    with pytest.raises(InputError, match=r"tasks\.t: 20 of 20 items stand in the corpus"):
        prepare(project, [], settings(held_out, {"t": file}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"prompt": "a", "target": "b"}\n', r"tasks\.t: its first row has the fields prompt, tar"),
        ("", r"tasks\.t: none of its 1 rows can be judged \(empty file: 1\)"),
        ('{"good": "a", "bad": "a"}\n', r"\(the answer is among the other options: 1\)"),
    ],
)
def test_a_file_without_an_item_is_a_sentence(
    project: Project, held_out: str, tmp_path: Path, content: str, message: str
) -> None:
    file = tmp_path / "t.jsonl"
    file.write_text(content)
    with pytest.raises(InputError, match=message):
        prepare(project, [], settings(held_out, {"t": str(file)}))


def test_a_task_without_a_file_says_so(project: Project, held_out: str) -> None:
    with pytest.raises(InputError, match=r"tasks\.t: nowhere\.jsonl names no file"):
        prepare(project, [], settings(held_out, {"t": "nowhere.jsonl"}))


@pytest.mark.parametrize("name", ["all", "tasks", "en", "a~wrong"])
def test_a_task_has_a_name_of_its_own(name: str) -> None:
    with pytest.raises(ValueError, match=r"is taken|name has letters"):
        Evaluation(texts={"en": "en.jsonl"}, tasks={name: "t.jsonl"})


def test_tasks_are_judged_beside_texts(project: Project) -> None:
    with pytest.raises(InputError, match="Tasks are judged beside texts"):
        prepare(project, [], Evaluation(tasks={"t": "t.jsonl"}))


def test_a_transformer_reads_options_after_their_contexts(
    project: Project, held_out: str, tmp_path: Path
) -> None:
    file = written(tmp_path / "t.jsonl", learned(10))
    asked = settings(
        held_out,
        {"t": file},
        learner="transformer",
        seeds=1,
        budget_tokens=2_000,
        documents=10,
        context_tokens=32,
        second_judge=False,
    )
    figures = run(prepare(project, [], asked))["arms"]["proportional"]["tasks"]["t"]
    assert 0.0 <= figures["accuracy"] <= 1.0
    assert (figures["low"], figures["high"]) == (None, None)


def test_the_command_takes_tasks_and_prints_them(root: Path, held_out: str, tmp_path: Path) -> None:
    file = written(tmp_path / "learned.jsonl", learned(20))
    words = ["evaluate", "--config", str(root / "samplemix.yaml"), "--texts", f"en={held_out}"]
    words += ["--tasks", f"learned={file}", "--budget", str(BUDGET), "--pool", "1"]
    result = CliRunner().invoke(app, [*words, "--ladder", "none"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "learned (multiple choice): 20 of 20 rows judged." in result.output
    assert "tasks: answers that are right, beside proportional" in result.output


@pytest.mark.parametrize("name", ["all", "tasks"])
def test_a_group_of_texts_has_not_the_name_of_all(name: str) -> None:
    with pytest.raises(ValueError, match=f"texts: '{name}' is what all groups, or all tasks"):
        Evaluation(texts={name: "held.jsonl", "other": "more.jsonl"})
