"""The commands: runs in a process of their own, as a person starts them; questions in this one."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest
from dagster._core.test_utils import create_run_for_test

from samplemix_dagster.wiring.run_tags import PID_TAG
from tests.commands import answer, answer_of_started, samplemix, started
from tests.projects import cluster_few, make_project, needs_encoder, reference_folder

pytestmark = needs_encoder

SCORES = {
    "doc_id",
    "source",
    "shard",
    "row",
    "id",
    "bits_per_byte",
    "perplexity",
    "quality",
    "cluster_score",
    "ngram_score",
    "topic_score",
    "cluster",
    "topic",
    "diversity",
    "num_tokens",
    "num_bytes",
    "language",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that the command line has planned and run; the answers lie beside it."""
    root = tmp_path_factory.mktemp("cli")
    cluster_few(make_project(root, reference_folder()))
    answers = {command: answer_of_started(root, command) for command in ("plan", "run")}
    (root / "answers.json").write_text(json.dumps(answers))
    return root


def answers(project: Path) -> dict[str, Any]:
    return dict(json.loads((project / "answers.json").read_text()))


def test_run_does_exactly_what_plan_said(project: Path) -> None:
    said = answers(project)
    planned = {s["asset"]: s["num_documents"] for s in said["plan"]["stages"]}
    done = {s["asset"]: s["num_documents"] for s in said["run"]["stages"] if s["asset"] != "report"}
    assert planned == done


def test_each_stage_of_a_run_says_what_and_why(project: Path) -> None:
    for stage in answers(project)["run"]["stages"]:
        assert {"stage", "asset", "num_shards", "num_documents", "why"} <= set(stage)
        assert stage["why"]


def test_a_plan_and_a_run_of_a_clean_corpus_warn_of_nothing(project: Path) -> None:
    said = answers(project)
    assert said["plan"]["warnings"] == []
    assert [w for w in said["run"]["warnings"] if w["kind"] != "check"] == []


def test_a_second_run_does_nothing(project: Path) -> None:
    assert answer_of_started(project, "run")["stages"] == []
    assert answer(project, "plan")["stages"] == []


def test_a_run_killed_after_its_last_table_is_shown_as_failed_by_the_next(project: Path) -> None:
    home = project / ".samplemix"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        last = instance.get_runs(limit=1)[0]
        died = {**last.tags, PID_TAG: str(gone.pid)}
        dead = create_run_for_test(instance, tags=died, status=dg.DagsterRunStatus.STARTED).run_id
        (home / "unfinished" / str(gone.pid)).touch()
        assert answer_of_started(project, "run")["stages"] == []
        run = instance.get_run_by_id(dead)
        assert run is not None
        assert run.status == dg.DagsterRunStatus.FAILURE
        instance.delete_run(dead)
    assert list((home / "unfinished").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "forbidden"),
    [
        (["run"], ["torch", "dagster", "transformers"]),
        (["status"], ["torch", "dagster", "transformers"]),
        (["mixture", "list"], ["torch", "dagster", "duckdb"]),
        (["query", "select 1"], ["torch", "dagster"]),
        (["--help"], ["torch", "dagster", "pyarrow", "duckdb", "numpy"]),
    ],
)
def test_quick_commands_import_no_heavy_package(
    project: Path, words: list[str], forbidden: list[str]
) -> None:
    script = (
        "import sys\nfrom samplemix_dagster import cli\n"
        f"sys.argv = ['samplemix', *{words!r}]\n"
        "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
        f"print('LOADED', [name for name in {forbidden!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.stdout.rstrip().endswith("LOADED []"), done.stdout[-300:] + done.stderr[-300:]


def test_show_has_the_documented_keys(project: Path) -> None:
    shown = answer(project, "mixture", "show", "default")
    assert {
        "name",
        "version",
        "budget_tokens",
        "realised_tokens",
        "num_documents",
        "num_documents_drawn",
        "num_draws",
        "mean_quality",
        "mean_diversity",
        "effective_sample_size_tokens",
        "sources",
        "copies",
    } <= set(shown)
    assert set(shown["sources"]) == {"letters", "news", "web"}
    assert all(
        {"share_before", "share_after", "tokens"} <= set(entry)
        for entry in shown["sources"].values()
    )
    assert sum(shown["copies"].values()) == shown["num_documents"]
    assert 0 < shown["realised_tokens"] <= shown["budget_tokens"]


def test_a_version_is_found_by_name_by_prefix_and_by_both(project: Path) -> None:
    version = answer(project, "mixture", "show", "default")["version"]
    for words in (version[:10], f"default@{version[:6]}", version):
        assert answer(project, "mixture", "show", words)["version"] == version


def test_the_ledger_adds_up_in_sql(project: Path) -> None:
    rows = answer(
        project,
        "query",
        "select m.name, m.realised_tokens, sum(l.copies * l.num_tokens)::bigint as tokens "
        "from ledger l join mixtures m on l.version = m.version and l.mixture = m.name "
        "group by all",
    )
    assert rows
    assert all(row["realised_tokens"] == row["tokens"] for row in rows)


def test_the_report_models_can_be_asked(project: Path) -> None:
    rows = answer(project, "query", "select * from composition_by_source")
    assert {row["mixture"] for row in rows} == {"default", "flat"}


def test_scores_has_one_row_per_document(project: Path, tmp_path: Path) -> None:
    done = samplemix(project, "scores", "--to", str(tmp_path / "s.parquet"))
    assert done.returncode == 0, done.stderr
    table = pq.read_table(tmp_path / "s.parquet")
    assert set(table.column_names) >= SCORES
    count = answer(project, "query", "select count(*) as n from documents")[0]["n"]
    assert table.num_rows == count


def test_explain_says_why_for_a_drawn_and_for_a_dropped_document(project: Path) -> None:
    for condition in ("copies > 0", "reason = 'not_drawn'", "reason = 'duplicate'"):
        row = answer(
            project,
            "query",
            f"select doc_id, copies from ledger where mixture = 'default' and {condition} limit 1",
        )[0]
        found = answer(project, "explain", row["doc_id"])
        assert found["text"]
        assert any(entry["because"] for entry in found["mixtures"])
        assert samplemix(project, "explain", row["doc_id"][:12]).returncode == 0


def test_export_writes_the_draws(project: Path, tmp_path: Path) -> None:
    shown = answer(project, "mixture", "show", "default")
    made = answer(
        project, "export", "default", "--format", "parquet", "--to", str(tmp_path / "out")
    )
    assert made["num_draws"] == shown["num_draws"]
    assert made["num_tokens"] == shown["realised_tokens"]
    rows = sum(pq.read_metadata(path).num_rows for path in (tmp_path / "out").glob("*.parquet"))
    assert rows == shown["num_draws"]


def test_status_says_that_everything_is_current(project: Path) -> None:
    found = answer(project, "status")
    assert {entry["state"] for entry in found["assets"]} == {"current"}
    assert found["failures"] == []


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["plan", "--config", "nowhere.yaml"], 2, "nowhere.yaml. Write one with `samplemix init`"),
        (["mixture", "show", "nothing"], 2, "no mixture version 'nothing'"),
        (["query", "drop table documents"], 2, "nothing that writes"),
        (["query", "select * from read_text('samplemix.yaml')"], 2, "Cannot access file"),
        (["explain", "xyz"], 2, "hexadecimal"),
        (["run", "--select", "cooking"], 2, "no stage 'cooking'"),
        (["run", "--mixture", "soup"], 2, "no mixture 'soup'"),
        (["export", "default", "--to", "out", "--format", "zip"], 2, "--format is"),
        (["scores", "--to", "scores.xlsx"], 2, "--to ends in"),
        (["frobnicate"], 2, "No such command"),
    ],
)
def test_wrong_use_is_a_sentence_and_exit_code_2(
    project: Path, words: list[str], code: int, sentence: str
) -> None:
    done = samplemix(project, *words)
    assert done.returncode == code
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_mixture_that_cannot_be_made_says_which_can(project: Path, tmp_path: Path) -> None:
    text = (project / "samplemix.yaml").read_text().replace("8000", "900000000")
    (project / "greedy.yaml").write_text(text)
    done = started(project, "run", "--config", "greedy.yaml", "--select", "mixture")
    assert done.returncode == 1
    assert "the nearest feasible budget" in done.stderr
    assert "Traceback" not in done.stderr


def test_init_writes_a_configuration_that_plans(project: Path) -> None:
    # Of the references, that which every machine has.
    done = samplemix(project, "init", "data", "--config", "made.yaml", "--reference", "bootstrap")
    assert done.returncode == 0, done.stderr
    assert "chosen" in done.stderr + done.stdout
    planned = answer(project, "plan", "--config", "made.yaml")
    assert planned["problems"] == {}
    assert samplemix(project, "init", "data", "--config", "made.yaml").returncode == 2


@pytest.mark.parametrize(
    "stop", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_run_that_is_stopped_says_so_and_goes_on_later(
    project: Path, tmp_path: Path, stop: signal.Signals, request: pytest.FixtureRequest
) -> None:
    make_project(tmp_path, reference_folder())
    # A shell starts what it puts in the background with SIGINT ignored, and children inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    command = [sys.executable, "-m", "samplemix_dagster.cli", "run", "--select", "quality"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if line.startswith("perplexity"):
                break
        running.send_signal(stop)
        rest = running.stderr.read()
    assert running.returncode == 130
    assert "stopped" in rest
    assert "Traceback" not in rest
    stages = answer_of_started(tmp_path, "run", "--select", "quality")["stages"]
    assert "raw_shards" not in {stage["asset"] for stage in stages}


def test_an_export_that_is_ended_leaves_nothing_beside_its_place(
    project: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "samplemix_dagster.cli", "export", "default"]
    command += ["--to", str(tmp_path / "out"), "--format", "litdata", "--files", "20000"]
    with subprocess.Popen(command, cwd=project, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        while not any(tmp_path.glob(".out.*/*")):
            assert running.poll() is None, running.stderr.read()
            time.sleep(0.02)
        running.terminate()
        rest = running.stderr.read()
    assert running.returncode == 130
    assert "stopped" in rest
    assert list(tmp_path.iterdir()) == []

    # One that is killed cannot; who exports to the same place again is told.
    (tmp_path / ".out.0123456789ab").mkdir()
    told = samplemix(project, "export", "default", "--to", str(tmp_path / "out"))
    assert "Beside it lie .out.0123456789ab: of exports that were killed" in told.stderr


def test_an_option_of_a_format_is_set_by_its_name(project: Path, tmp_path: Path) -> None:
    words = ["export", "default", "--format", "megatron", "--files", "1", "--to"]
    done = answer(project, *words, str(tmp_path / "x"), "--set", "materialise=true")
    assert done["options"] == {"eos": "end", "materialise": "true"}
    refused = samplemix(project, *words, str(tmp_path / "y"), "--set", "shuffle=true")
    assert refused.returncode == 2
    assert "--set shuffle: format megatron has eos, eos_inside, bos, materialise" in refused.stderr


def test_a_place_of_an_export_is_traced_to_its_document_and_the_reason(project: Path) -> None:
    found = answer(project, "trace", "default", "part-00000.jsonl.zst", "0")
    assert found["document"]["doc_id"] == found["draws"][0]["doc_id"]
    assert "weight" in found["document"]["mixtures"][0]["because"]
    plain = samplemix(project, "trace", "default", "part-00000.jsonl.zst", "0")
    assert plain.stdout.startswith("draw: copy ")
    assert samplemix(project, "trace", "default").returncode == 2


def test_a_trainer_sees_less_of_an_export_than_was_drawn(project: Path) -> None:
    joined, alone = answer(project, "sees", "default", "--sequence", "64", "--steps", "10000")
    assert joined["kept"] + joined["dropped"] == joined["ids"]
    assert alone["cropped"] > 0
    assert joined["repeated"] > 0
    assert "documents joined, then cut" in samplemix(project, "sees", "default").stdout


def test_every_command_has_help(project: Path) -> None:
    commands = ["init", "plan", "run", "status", "ui", "query", "scores", "explain", "export"]
    for words in ([name] for name in [*commands, "demo"]):
        done = samplemix(project, *words, "--help")
        assert done.returncode == 0
        assert len(done.stdout.splitlines()) > 5
