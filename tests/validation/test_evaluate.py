"""An evaluation of a small project: what is compared, kept, resumed and refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from samplemix_dagster.config.evaluation import Evaluation
from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.core.learners.learner import NO_STEPS, NgramLearner
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import ConfigError, InfeasibleMixtureError, InputError
from samplemix_dagster.runs.work.run import run_project
from samplemix_dagster.runs.work.what_if import draw_what_if
from samplemix_dagster.show.evaluated.judged import print_judged
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.validation.choosing.choices import read_choice
from samplemix_dagster.validation.evaluate import prepare, run
from tests.projects import (
    copy_project,
    finished_project,
    needs_encoder,
    noise,
    open_project,
    prose,
    shard_rows,
)

pytestmark = needs_encoder
SEEDS = 8
BUDGET = 12_000


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(finished_project(), tmp_path_factory.mktemp("evaluated") / "project")


@pytest.fixture(scope="module")
def held_out_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("held-out")
    files = {}
    for language in ("en", "de"):
        rows = [{"text": prose(f"held-out-{n}", language, sentences=12)} for n in range(30)]
        files[language] = str(folder / f"{language}.jsonl")
        Path(files[language]).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return files


@pytest.fixture
def project(root: Path) -> Project:
    return open_project(root)


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> str:
    rows = [
        {"source": source, "id": row["id"], "kind": kind}
        for source in ("letters", "news", "web")
        for shard in range(2)
        for number, row in enumerate(shard_rows(source, shard))
        for kind in ["salad" if source == "web" and number % 4 == 0 else "clean"]
    ]
    file = tmp_path_factory.mktemp("labels") / "labels.parquet"
    pq.write_table(pa.Table.from_pylist(rows), file)
    return str(file)


def settings(files: dict[str, str], **changes: Any) -> Evaluation:
    given = {"budget_tokens": BUDGET, "seeds": SEEDS, "pool": 1.0, "ladder": [0.5], "order": 3}
    return Evaluation(texts=files, **{**given, **changes})


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts the trainings of n-gram learners."""
    seeds: list[int] = []
    nats = NgramLearner.nats

    def counted(self: NgramLearner, draw: Any, seed: int, steps: Any) -> Any:
        seeds.append(seed)
        return nats(self, draw, seed, steps)

    monkeypatch.setattr(NgramLearner, "nats", counted)
    return seeds


def test_every_arm_is_compared_with_the_baseline_and_with_its_controls(
    project: Project, held_out_files: dict[str, str]
) -> None:
    found = run(prepare(project, ["default"], settings(held_out_files)))
    assert list(found["arms"]) == ["proportional", "default", "default~shares", "default~lengths"]
    for arm in found["arms"].values():
        assert set(arm["groups"]) == {"all", "en", "de"}
        for group in arm["groups"].values():
            assert {"bits_per_byte", "difference", "low", "high", "needs"} <= set(group)
            assert group["low"] <= group["difference"] <= group["high"]
    baseline = found["arms"]["proportional"]["groups"]["all"]
    assert (baseline["difference"], baseline["low"], baseline["high"]) == (0.0, 0.0, 0.0)
    assert set(found["arms"]["default"]["against_controls"]) == {"shares", "lengths"}
    assert {entry["arm"] for entry in found["ranking"]} == {"proportional", "default"}
    assert found["seeds"] == SEEDS
    assert found["strength"] == "claim"


def test_the_mean_over_groups_is_what_each_group_says(
    project: Project, held_out_files: dict[str, str]
) -> None:
    found = run(prepare(project, ["default"], settings(held_out_files)))
    for arm in found["arms"].values():
        of = {name: group["bits_per_byte"] for name, group in arm["groups"].items()}
        assert of["all"] == pytest.approx((of["en"] + of["de"]) / 2, abs=2e-5)


def test_a_second_evaluation_trains_nothing_and_says_the_same(
    project: Project, held_out_files: dict[str, str], trained: list[int]
) -> None:
    once = settings(held_out_files, seed=50)
    first = run(prepare(project, ["default"], once))
    assert len(trained) == first["cost"]["trainings"] > SEEDS
    trained.clear()
    again = prepare(project, ["default"], once)
    assert again.missing == []
    assert json.dumps(run(again)) == json.dumps(first)
    assert trained == []


def test_a_result_names_every_training_that_it_is_made_of(
    project: Project, held_out_files: dict[str, str]
) -> None:
    prepared = prepare(project, ["default"], settings(held_out_files))
    found = run(prepared)
    named = {(one["arm"], one["seed"], one["rung"], one["address"]) for one in found["trainings"]}
    assert named == {
        (one.drawn.arm, one.drawn.seed, one.drawn.rung, one.address) for one in prepared.wanted
    }
    assert len(found["trainings"]) == len(prepared.wanted)
    assert project.lake.exists(keys.evaluation_overlaps(found["overlaps"]))


def test_what_was_trained_before_a_kill_is_not_trained_again(
    project: Project,
    held_out_files: dict[str, str],
    trained: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    once = settings(held_out_files, seed=70)
    prepared = prepare(project, ["default"], once)
    wanted = len(prepared.missing)
    counted = NgramLearner.nats

    def killed(self: NgramLearner, draw: Any, seed: int, steps: Any) -> Any:
        if len(trained) == 7:
            raise KeyboardInterrupt
        return counted(self, draw, seed, steps)

    with monkeypatch.context() as patch:
        patch.setattr(NgramLearner, "nats", killed)
        with pytest.raises(KeyboardInterrupt):
            run(prepared)
    done = len(trained)
    assert done >= 7
    again = prepare(project, ["default"], once)
    assert len(again.missing) == wanted - done
    run(again)
    assert len(trained) == wanted


def test_workers_change_nothing(
    project: Project, held_out_files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for seed, workers in ((90, 1), (90, 4)):
        monkeypatch.setattr(Project, "num_workers", workers)
        prepared = prepare(project, ["default"], settings(held_out_files, seed=seed))
        for one in prepared.wanted:
            project.lake.remove(one.key)
        prepared = prepare(project, ["default"], settings(held_out_files, seed=seed))
        assert prepared.missing
        found.append(run(prepared)["arms"])
    assert found[0] == found[1]


def test_draws_of_an_arm_and_of_its_controls_have_one_budget(
    project: Project, held_out_files: dict[str, str]
) -> None:
    prepared = prepare(project, ["default"], settings(held_out_files, ladder=[]))
    longest = int(prepared.corpus.pool.tokens.max())
    for one in prepared.wanted:
        assert BUDGET - 2 * longest < one.drawn.num_tokens <= BUDGET


def test_half_the_budget_loses(project: Project, held_out_files: dict[str, str]) -> None:
    found = run(prepare(project, ["default"], settings(held_out_files, ladder=[0.5])))
    needs = found["arms"]["default"]["groups"]["all"]
    halves = prepare(
        project, ["default"], settings(held_out_files, budget_tokens=BUDGET // 2, ladder=[])
    )
    half = run(halves)["arms"]["proportional"]["groups"]["all"]["bits_per_byte"]
    assert half > found["arms"]["proportional"]["groups"]["all"]["bits_per_byte"]
    assert needs["needs"] is None or needs["needs"] > 0.5


def test_clean_documents_are_the_ceiling_and_say_what_is_recovered(
    project: Project, held_out_files: dict[str, str], labels: str
) -> None:
    found = run(prepare(project, ["default"], settings(held_out_files, labels=labels)))
    arms = found["arms"]
    assert arms["clean"]["recovered"] == 1.0
    assert arms["proportional"]["recovered"] == 0.0
    assert arms["clean"]["groups"]["all"]["verdict"] == "better"
    assert arms["default"]["recovered"] is not None
    assert found["kinds"]["clean"] < arms["clean"]["kinds"]["clean"] == 1.0
    assert sum(found["kinds"].values()) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("key", ["doc_id", "id"])
def test_a_choice_from_elsewhere_is_judged_too(
    project: Project, held_out_files: dict[str, str], tmp_path: Path, key: str
) -> None:
    whole = prepare(project, ["default"], settings(held_out_files)).corpus
    own = whole.column(Recipes(project), "id")
    chosen = [row for row in range(len(own)) if whole.sources[row] == "letters"]
    names = [whole.ids[r].decode() if key == "doc_id" else own[r] for r in chosen]
    file = tmp_path / "german.jsonl"
    file.write_text("".join(json.dumps({key: name}) + "\n" for name in names))
    found = run(prepare(project, [f"german={file}"], settings(held_out_files, ladder=[])))
    groups = found["arms"]["german"]["groups"]
    assert groups["de"]["verdict"] == "better"
    assert groups["en"]["verdict"] == "worse"
    assert found["arms"]["german"]["domains"] == {
        "better": ["de"],
        "worse": ["en"],
        "undecided": [],
    }
    held = found["arms"]["german"]["against_controls"]["shares"]
    assert held["all"]["verdict"] == "undecided"


def test_an_arm_of_a_file_may_have_an_equals_sign_in_its_name(
    project: Project, held_out_files: dict[str, str]
) -> None:
    ids = [row["id"] for row in shard_rows("news", 0)]
    (project.root / "top=5.json").write_text(json.dumps([*ids, *ids[:3]]))
    wanted = settings(held_out_files, budget_tokens=6000)
    for words, name in (("top=5.json", "top=5"), ("mine=top=5.json", "mine")):
        prepared = prepare(project, [words], wanted)
        [arm] = [arm for arm in prepared.arms if arm.name == name]
        assert arm.missing == 0
        assert sorted(set(arm.weights.tolist())) == [0.0, 1.0, 2.0]


def test_an_id_of_several_documents_does_not_say_which_is_meant(
    held_out_files: dict[str, str], tmp_path: Path
) -> None:
    root = copy_project(finished_project(), tmp_path / "project")
    twin = shard_rows("news", 0)[0]["id"]
    row = {"id": twin, "text": prose("a twin by name", "en", sentences=12)}
    (root / "data/web/extra.jsonl").write_text(json.dumps(row) + "\n")
    project = open_project(root)
    run_project(project)
    whole = prepare(project, ["default"], settings(held_out_files)).corpus
    (root / "ids.txt").write_text(f"{twin}\n")
    with pytest.raises(InputError, match=f"'{twin}' stands in the sources 'news' and 'web'"):
        read_choice(root / "ids.txt").rows(Recipes(project), whole)
    (root / "ids.csv").write_text(f"source,id\nweb,{twin}\n")
    [number] = read_choice(root / "ids.csv").rows(Recipes(project), whole)
    assert whole.sources[number] == "web"


def test_an_arm_may_name_a_text_by_any_of_its_ids_and_leave_its_source_open(
    held_out_files: dict[str, str], tmp_path: Path
) -> None:
    root = copy_project(finished_project(), tmp_path / "project")
    first, second = shard_rows("news", 0)[:2]
    twins = [{"id": "twin", "text": first["text"]}, {"id": "own", "text": prose("x", "en")}]
    lines = "".join(json.dumps(row) + "\n" for row in twins)
    (root / "data/web/extra.jsonl").write_text(lines)
    project = open_project(root)
    run_project(project)
    whole = prepare(project, ["default"], settings(held_out_files)).corpus
    (root / "ids.csv").write_text(f"source,id\nweb,twin\n,{second['id']}\nnews,twin\n")
    rows = read_choice(root / "ids.csv").rows(Recipes(project), whole)
    assert whole.ids[rows[0]].decode() == doc_id(first["text"])
    assert whole.ids[rows[1]].decode() == doc_id(second["text"])
    assert rows[2] == -1


def test_a_budget_below_every_document_of_an_arm_says_to_raise_it(
    project: Project, held_out_files: dict[str, str]
) -> None:
    with pytest.raises(InfeasibleMixtureError, match=r"shortest document has .* raise --budget"):
        prepare(project, ["default"], settings(held_out_files, budget_tokens=2))


def test_labels_that_call_no_document_clean_have_no_ceiling(
    project: Project, held_out_files: dict[str, str], tmp_path: Path
) -> None:
    row = shard_rows("news", 0)[0]
    labels = tmp_path / "labels.csv"
    labels.write_text(f"source,id,kind\nnews,{row['id']},Clean\n")
    with pytest.raises(ConfigError, match="no document of the corpus is labelled 'clean'"):
        prepare(project, ["default"], settings(held_out_files, labels=str(labels)))


def test_shares_that_a_version_holds_are_held_in_every_draw(
    project: Project, held_out_files: dict[str, str]
) -> None:
    changes = {"shares": {"letters": 0.6, "news": 0.4}, "budget_tokens": 2 * BUDGET}
    version = draw_what_if(project, "default", changes, None).data_version
    prepared = prepare(project, [f"held={version}"], settings(held_out_files, ladder=[]))
    corpus = prepared.corpus
    held = [one.drawn for one in prepared.wanted if one.drawn.arm == "held"]
    assert len(held) == SEEDS
    for drawn in held:
        tokens = drawn.copies * corpus.pool.tokens[drawn.rows]
        sources = corpus.sources[drawn.rows]
        assert set(sources) == {"letters", "news"}
        assert tokens[sources == "letters"].sum() / tokens.sum() == pytest.approx(0.6, abs=0.05)


def test_shares_of_languages_that_a_version_holds_are_held_in_every_draw(
    project: Project, held_out_files: dict[str, str]
) -> None:
    shares = {"de": 0.6, "en": 0.4}
    changes = {"shares_by": "language", "shares": shares, "budget_tokens": 2 * BUDGET}
    version = draw_what_if(project, "default", changes, None).data_version
    prepared = prepare(project, [f"held={version}"], settings(held_out_files, ladder=[]))
    corpus = prepared.corpus
    held = [one.drawn for one in prepared.wanted if one.drawn.arm == "held"]
    assert len(held) == SEEDS
    for drawn in held:
        tokens = drawn.copies * corpus.pool.tokens[drawn.rows]
        languages = corpus.languages[drawn.rows]
        assert set(languages) == set(shares)
        assert tokens[languages == "de"].sum() / tokens.sum() == pytest.approx(0.6, abs=0.05)


def test_a_text_of_the_corpus_is_refused(
    project: Project, held_out_files: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "mixed.jsonl"
    texts = [prose(f"new-{n}") for n in range(8)] + [prose("news-0-1"), prose("news-1-2")]
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    found = run(prepare(project, [], settings({"mixed": str(file)}, ladder=[])))
    assert found["texts"]["mixed"]["refused"] == 2
    assert found["texts"]["mixed"]["texts"] == 8


def test_rows_that_are_no_texts_and_documents_that_are_not_there_are_said(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, chosen = tmp_path / "some.jsonl", tmp_path / "chosen.jsonl"
    rows: list[Any] = [{"text": prose(f"new-{n}")} for n in range(4)]
    file.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"text": None}, {"no": 1}]))
    ids = [name.decode() for name in prepare(project, [], settings({"s": str(file)})).corpus.ids]
    chosen.write_text("".join(json.dumps({"doc_id": name}) + "\n" for name in [*ids, "0" * 32]))
    found = run(prepare(project, [f"other={chosen}"], settings({"s": str(file)}, ladder=[])))
    assert found["texts"]["s"]["rejected"] == 2
    assert found["arms"]["other"]["missing_documents"] == 1
    print_judged(found)
    said = capsys.readouterr().out
    assert "2 rows of the judged files are no texts" in said
    assert "other: 1 of what it names is not in the corpus" in said


def test_files_that_are_not_held_out_are_refused(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in shard_rows("news", 0)))
    with pytest.raises(InputError, match=r"texts\.news: 20 of 20 texts stand in the corpus"):
        prepare(project, [], settings({"news": str(file)}))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nobody"], "no mixture version 'nobody'"),
        (["default", "default"], "two arms are called 'default'"),
        (["clean"], "--labels names the labels"),
        (["a~b=default"], "no ~"),
    ],
)
def test_an_arm_that_cannot_be_is_a_sentence(
    project: Project, held_out_files: dict[str, str], words: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        prepare(project, words, settings(held_out_files))


def test_a_budget_that_is_not_there_names_the_arm(
    project: Project, held_out_files: dict[str, str]
) -> None:
    with pytest.raises(InfeasibleMixtureError, match="arm 'proportional' has"):
        prepare(project, [], settings(held_out_files, budget_tokens=10_000_000))


def test_without_texts_there_is_nothing_to_judge_on(project: Project) -> None:
    with pytest.raises(InputError, match="nothing to judge on"):
        prepare(project, [], settings({}))


def test_auto_draws_from_as_much_as_keeps_copies_as_rare(
    project: Project, held_out_files: dict[str, str]
) -> None:
    budget = project.config.mixtures["default"].budget_tokens
    asked = settings(held_out_files, pool="auto", budget_tokens=budget // 2, ladder=[])
    prepared = prepare(project, ["default"], asked)
    assert prepared.design.pool == pytest.approx(0.5, abs=0.001)


def test_shuffled_texts_are_judged_badly(held_out_files: dict[str, str], project: Project) -> None:
    """The learner sees order: noise of the same words loses to prose."""
    from samplemix_dagster.core.learners.ragged import TokenTexts
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.validation.training.tokenized import TokenSource

    source = TokenSource(Recipes(project))
    luck = np.random.default_rng(0)
    texts = [prose(f"train-{n}") for n in range(200)]
    shuffled = [" ".join(luck.permutation(text.split())) for text in texts]
    wanted = TokenTexts.of(source.encode([prose(f"judged-{n}") for n in range(20)]))
    learner = NgramLearner(wanted, order=3, vocabulary=source.vocabulary)
    plain, salad, scrambled = (
        learner.nats(TokenTexts.of(source.encode(found)), 0, NO_STEPS).sum()
        for found in (texts, shuffled, [noise(f"x{n}") for n in range(200)])
    )
    assert plain < 0.95 * salad
    assert salad < scrambled
