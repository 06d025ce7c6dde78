"""What a run would refuse is refused by the plan, before anything is paid for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from dagster._utils.schedules import is_valid_cron_schedule
from hypothesis import given
from hypothesis import strategies as st

from samplemix_dagster.config.mixtures import Mixture
from samplemix_dagster.config.text.cron import check_cron
from samplemix_dagster.config.text.reading import parse_config
from samplemix_dagster.errors import ConfigError
from samplemix_dagster.runs.plan.foresight import Capacity, over_budget, refusals
from samplemix_dagster.runs.plan.plan import Planner
from tests.projects import (
    copy_project,
    finished_project,
    needs_encoder,
    open_project,
    read_settings,
    write_settings,
)

CORPUS = Capacity(tokens={"book": 1000, "web": 3000}, words="the corpus has 4,000 tokens")
SMALL = """\
corpus:
  sources:
    web: {path: data/*}
    book: {path: book/*}
mixtures:
  default: {budget_tokens: 1k}
"""


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"budget_tokens": 16_000}, ""),
        ({"budget_tokens": 16_001}, "the nearest feasible budget is 16,000 or less"),
        ({"budget_tokens": 4_001, "max_copies": 1}, "the corpus has 4,000 tokens; at max_copies 1"),
        ({"budget_tokens": 16_000, "shares": "proportional"}, ""),
        ({"budget_tokens": 8_000, "shares": "uniform"}, ""),
        ({"budget_tokens": 8_010, "shares": "uniform"}, "book would draw 4,005 of at most 4,000"),
        ({"budget_tokens": 5_000, "shares": {"book": 1.0}}, "is 4,000 or less"),
        ({"budget_tokens": 4_000, "shares": {"book": 1.0}}, ""),
        ({"budget_tokens": 99_000, "shares": {"book": 1.0}}, "is 4,000 or less"),
        ({"budget_tokens": 99_000, "shares": "uniform"}, "is 8,000 or less"),
        ({"budget_tokens": 99_000, "shares": "kept"}, "there are 16,000, and shares that are held"),
        ({"budget_tokens": 16_000, "shares": "kept"}, ""),
    ],
)
def test_a_budget_is_held_against_what_there_is(settings: dict[str, object], words: str) -> None:
    found = over_budget(Mixture.model_validate(settings), CORPUS)
    assert bool(found) == bool(words)
    assert words in found


def test_a_corpus_without_tokens_has_no_mixture() -> None:
    empty = Capacity(tokens={"web": 0}, words="")
    assert over_budget(Mixture(budget_tokens=1), empty) == "the corpus has no token to draw"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("mixtures: {d: {budget_tokens: 1, shares: {web: 0.5}}}", ":5: mixtures.d.shares: shares"),
        ("mixtures: {d: {budget_tokens: 1, shares: {web: 1.5}}}", "a share lies in [0, 1]"),
        ("mixtures: {d: {budget_tokens: 1, shares: {web: -1, book: 2}}}", "a share lies in [0, 1]"),
        ("mixtures: {d: {budget_tokens: 1, balance: {quality: 51}}}", "less than or equal to 50"),
        ("mixtures: {d: {budget_tokens: 1, balance: {diversity: .inf}}}", "balance.diversity"),
    ],
)
def test_a_mixture_that_no_corpus_has_is_refused_with_its_line(line: str, words: str) -> None:
    text = SMALL.split("mixtures:", maxsplit=1)[0] + line
    assert words in refused(text)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("61 * * * *", "'61' is no minute"),
        ("* * * *", "has five fields"),
        ("0 2 * * 8", "no day of the week"),
        ("0 2 30-10 * *", "no day of the month"),
        ("*/0 * * * *", "no minute"),
        ("0 2 * foo *", "no month"),
        ("every night", "has five fields"),
    ],
)
def test_a_cron_line_is_checked_when_it_is_read(line: str, words: str) -> None:
    assert words in refused(f'{SMALL}schedule: {{rescore: "{line}"}}\n')


@pytest.mark.parametrize("line", ["0 2 * * *", "*/5 0-6,12 1 jan-mar mon", "@daily", "0 2 L * *"])
def test_a_cron_line_that_dagster_takes_is_taken(line: str) -> None:
    assert is_valid_cron_schedule(line)
    check_cron(line)


_NUMBERS = ["*", "*/5", "0", "5", "59", "60", "1-5", "5-1", "7", "8", "31", "32"]
_PIECES = st.sampled_from([*_NUMBERS, "jan", "mon", "x", "-", "1,2", "/", "*-3"])


@given(st.lists(_PIECES, min_size=4, max_size=6))
def test_no_line_passes_that_dagster_refuses(pieces: list[str]) -> None:
    line = " ".join(pieces)
    try:
        check_cron(line)
    except ValueError:
        return
    assert is_valid_cron_schedule(line)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "Europe"])
def test_a_time_zone_that_is_not_known_is_refused(zone: str) -> None:
    assert "no time zone" in refused(f'{SMALL}schedule: {{timezone: "{zone}"}}\n')


@needs_encoder
def test_a_plan_names_the_mixtures_that_cannot_be_made_and_no_other(tmp_path: Path) -> None:
    root = copy_project(finished_project(), tmp_path / "project")
    _add_mixtures(root)
    project = open_project(root)
    planner = Planner(project)
    found = refusals(planner.recipes, planner.plan())
    assert set(found) == {"mixture/greedy", "mixture/steep"}
    assert "the nearest feasible budget is" in found["mixture/greedy"]
    assert "so the dial lies above" in found["mixture/steep"]


@needs_encoder
def test_a_run_refuses_what_the_plan_refuses_and_has_paid_for_nothing(tmp_path: Path) -> None:
    root = copy_project(finished_project(), tmp_path / "project")
    _add_mixtures(root)
    command = [sys.executable, "-m", "samplemix_dagster.cli"]
    planned = subprocess.run(
        [*command, "plan", "--json"], cwd=root, capture_output=True, text=True, check=False
    )
    assert planned.returncode == 1
    assert set(json.loads(planned.stdout)["problems"]) == {"mixture/greedy", "mixture/steep"}
    done = subprocess.run([*command, "run"], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "mixture/greedy: a budget of 900,000,000 tokens" in done.stderr
    assert "Nothing was run" in done.stderr
    assert not (root / ".samplemix" / "dagster").exists()


@needs_encoder
def test_files_of_other_tools_are_read_before_anything_is_paid_for(tmp_path: Path) -> None:
    root = copy_project(finished_project(), tmp_path / "project")
    settings = read_settings(root)
    settings["quality"] |= {"external": {"edu": {"file": "edu.csv"}}, "gates": {"edu": 1}}
    settings["diversity"]["external"] = {"far": {"file": "far.json"}}
    settings["labels"] = {"kind": {"file": "edu.csv"}}
    settings["exclude"] = {"external": {"bad": {"file": "edu.csv", "values": ["x"], "column": "l"}}}
    write_settings(root, settings)
    (root / "edu.csv").write_text("id,score\na,high\n")
    (root / "far.json").write_text("[")
    planner = Planner(open_project(root))
    found = refusals(planner.recipes, planner.plan())
    assert set(found) == {"signal_edu", "metric_far", "label_kind", "exclusions"}
    assert "row 1: 'score' is 'high', no number" in found["signal_edu"]
    assert "far.json cannot be read as a table of documents" in found["metric_far"]
    assert "labels.kind: " in found["label_kind"]
    assert "has no column 'label'" in found["label_kind"]
    assert "exclude.external.bad: " in found["exclusions"]
    (root / "edu.csv").write_text("id,score,label,l\na,1,x,y\n")
    (root / "far.json").write_text('[{"id": "a", "score": 0.5}]')
    planner = Planner(open_project(root))
    assert refusals(planner.recipes, planner.plan()) == {}


def _add_mixtures(root: Path) -> None:
    path = root / "samplemix.yaml"
    text = path.read_text()
    more = (
        "mixtures:\n  greedy: {budget_tokens: 900M}\n"
        "  steep: {budget_tokens: 1000, balance: {quality: -40}}\n"
    )
    assert "mixtures:\n" in text
    path.write_text(text.replace("mixtures:\n", more))
