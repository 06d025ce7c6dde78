"""What is said of an evaluation: no more than its figures bear, and losses as plainly as wins."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from samplemix_dagster.cli import app
from samplemix_dagster.show.evaluated.judged import cost_line, print_judged
from samplemix_dagster.show.evaluated.judgement_facts import auc_table, kinds_table
from samplemix_dagster.show.evaluated.judgement_words import (
    cautions,
    claims,
    controls_rows,
    domain_rows,
    verdict_of,
)
from samplemix_dagster.show.evaluated.judgement_worth import decay_sentences, worth_sentences
from tests.judged import found_of
from tests.projects import copy_project, finished_project, needs_encoder, prose

GAIN, LOSS, NEITHER = (-0.02, -0.03, -0.01), (0.02, 0.01, 0.03), (-0.002, -0.012, 0.007)


@pytest.mark.parametrize(
    ("ends", "begins"),
    [
        (GAIN, "mine is better than proportional: -0.0200 bits per byte [-0.0300, -0.0100]; "),
        (LOSS, "mine is worse than proportional: +0.0200 bits per byte [+0.0100, +0.0300]; "),
        (NEITHER, "mine is not shown to be better than proportional, nor worse: -0.0020 bits"),
    ],
)
def test_a_claim_says_the_verdict_and_the_interval(
    ends: tuple[float, float, float], begins: str
) -> None:
    [(_, sentence)] = claims(found_of({"mine": ends}))
    assert sentence.startswith(begins)


def test_a_loss_says_with_how_few_tokens_the_baseline_gets_as_far() -> None:
    [(_, sentence)] = claims(found_of({"mine": LOSS}))
    assert sentence.endswith("proportional reaches the loss of mine with 80% of the tokens.")


def test_neither_the_baseline_nor_the_ceiling_is_claimed_of() -> None:
    assert claims(found_of({})) == []


def test_a_look_decides_nothing() -> None:
    found = found_of({"mine": GAIN}, seeds=3)
    [(verdict, sentence)] = claims(found)
    assert verdict == verdict_of(found, "mine", "all") == "undecided"
    assert sentence.endswith("That is a look of 3 pairs, and claims nothing.")
    assert domain_rows(found) == [(name, "none", "none", "prose") for name in ("clean", "mine")]
    assert {figures["verdict"] for _, _, figures in controls_rows(found)} == {"undecided"}


def test_a_group_stands_under_its_own_verdict() -> None:
    found = found_of({"mine": LOSS})
    assert ("mine", "none", "prose", "none") in domain_rows(found)
    assert [(name, figures["verdict"]) for name, _, figures in controls_rows(found)] == [
        ("clean", "better"),
        ("mine", "worse"),
    ]


@pytest.mark.parametrize("pair", [["mine", "proportional"], ["proportional", "mine"]])
def test_what_a_second_judge_contradicts_is_undecided(pair: list[str]) -> None:
    found = found_of({"mine": GAIN}, undecided=[pair])
    [(verdict, sentence)] = claims(found)
    assert verdict == verdict_of(found, "mine", "all") == "undecided"
    assert "a second judge says the contrary" in sentence
    assert verdict_of(found, "mine", "prose") == "better"


def test_scores_pay_for_a_mixture_that_is_shown_to_save_training() -> None:
    found = found_of({"mine": GAIN, "yours": LOSS}) | {"scoring_flops": 5 * 10**12}
    found["arms"]["mine"]["pays_from_parameters"] = 12_345_678
    cost, mine, yours = worth_sentences(found)
    assert cost == "Scoring the corpus once takes 5.0 TFLOP."
    assert "mine needs 90% of proportional's tokens" in mine
    assert "12.3 M parameters or more" in mine
    assert yours == "yours is not shown to save any training, so nothing is shown to pay for it."


def test_nothing_pays_for_scores_of_unknown_cost() -> None:
    assert worth_sentences(found_of({"mine": GAIN}) | {"scoring_flops": None}) == []


def test_a_decay_that_was_chosen_is_said_beside_those_that_were_tried() -> None:
    found = found_of({"mine": GAIN})
    found["arms"]["mine"]["weight_decay"] = 0.3
    tried = [{"arm": "mine", "weight_decay": decay} for decay in (0.1, 0.3, 1.0)]
    [sentence] = decay_sentences(found | {"weight_decays": tried})
    assert "of the weight decays 0.1, 0.3, 1 it is judged at 0.3" in sentence
    assert list(decay_sentences(found)) == []


def test_the_known_truth_is_a_row_a_kind_and_a_column_an_arm() -> None:
    found = found_of({"mine": GAIN, "yours": LOSS})
    assert kinds_table(found) == (
        ["kind", "corpus", "mine", "proportional", "yours"],
        [
            ("clean", "60.0%", "70.0%", "70.0%", "70.0%"),
            ("salad", "40.0%", "30.0%", "30.0%", "30.0%"),
        ],
    )


def test_mixtures_with_the_same_scores_share_their_areas_and_others_have_their_own() -> None:
    found = found_of({"mine": GAIN, "yours": LOSS})
    assert auc_table(found) == (["kind", "quality", "diversity"], [("salad", "0.40", "0.80")])
    found["arms"]["yours"]["truth"]["auc"]["quality"]["salad"] = 0.9
    columns, rows = auc_table(found) or ([], [])
    assert columns[1:] == [
        "quality of mine",
        "diversity of mine",
        "quality of yours",
        "diversity of yours",
    ]
    assert rows == [("salad", "0.40", "0.80", "0.90", "0.80")]


def test_without_labels_nothing_is_said_of_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    found = found_of({"mine": GAIN})
    found["kinds"] = {}
    for arm in found["arms"].values():
        arm |= {"kinds": {}, "truth": None, "recovered": None}
    print_judged(found)
    said = capsys.readouterr().out
    assert "known truth" not in said
    assert "recovered" not in said
    assert kinds_table(found) is auc_table(found) is None


def test_a_ceiling_that_is_not_shown_is_said_instead_of_a_share_of_it() -> None:
    found = found_of({"mine": GAIN})
    assert cautions(found) == []
    for arm in found["arms"].values():
        arm["recovered"] = None
    [words] = cautions(found)
    assert words.startswith("clean is not shown to be better than proportional here")
    del found["arms"]["clean"]
    assert cautions(found) == []


def test_a_time_that_is_foreseen_says_how_it_is_known() -> None:
    cost = {"trainings": 2, "of": 4, "tokens": 3_000, "flops": 5_000_000_000}
    known = {**cost, "estimated_seconds": 200.0, "estimated_from": "from a trial of 9 tokens here"}
    assert cost_line(cost) == ("2 of 4 trainings are to be made, 3,000 tokens together, 5.0 GFLOP.")
    assert cost_line(known).endswith(" About 3 min: from a trial of 9 tokens here.")
    assert "estimated" not in cost_line({"trainings": 0, "of": 4, "tokens": 0})


@needs_encoder
def test_a_cost_is_foreseen_from_a_trial_and_then_from_what_was_measured(tmp_path: Path) -> None:
    root = copy_project(finished_project(), tmp_path / "project")
    texts = tmp_path / "texts.jsonl"
    rows = [{"text": prose(f"held-out-{n}", "en", sentences=12)} for n in range(8)]
    texts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = tmp_path / "page.html"

    def evaluate(*more: str) -> dict[str, object]:
        given = ["--config", str(root / "samplemix.yaml"), "--texts", f"prose={texts}", "--json"]
        own = ["--budget", "6000", "--seeds", "2", "--pool", "1", "--ladder", "none", *more]
        done = CliRunner().invoke(app, ["evaluate", "default", *given, *own])
        assert done.exit_code == 0, done.output
        return dict(json.loads(done.stdout))

    first = evaluate("--dry-run")["cost"]
    assert isinstance(first, dict)
    assert first["estimated_seconds"] > 0
    assert "from a trial of" in first["estimated_from"]
    found = evaluate("--html", str(page))
    assert "is a look of 2 pairs" in page.read_text(encoding="utf-8").replace("That is", "is")
    second = evaluate("--dry-run", "--seeds", "3")["cost"]
    assert isinstance(second, dict)
    assert str(found["evaluation"])[:12] in second["estimated_from"]
    assert "estimated_seconds" not in dict(evaluate("--dry-run")["cost"])  # type: ignore[call-overload]
