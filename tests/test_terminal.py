"""What reaches a terminal or a spreadsheet: never an escape sequence, never a formula."""

import io
import json
import os
import pty
import select
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplemix_dagster.errors import ConfigError
from samplemix_dagster.show.bars import Bars, pace, progress_words, short
from samplemix_dagster.show.presentation import duration, share, size
from samplemix_dagster.show.printed_table import chosen_format, table_text
from samplemix_dagster.show.terminal import own_stderr, plain, plain_line, print_lines, say, to_json
from samplemix_dagster.storage.ask.tabular import write_csv, write_tabular

HARMFUL = "\x1b]0;owned\x07 \x1b[2J \x9b31m \u202e \r \x08 \x7f"


def is_harmless(text: str) -> bool:
    return all(c in "\n\t" or (c.isprintable() or c in "\xa0\u3000") or ord(c) > 159 for c in text)


@given(st.text())
def test_no_text_sends_a_control_character_to_the_terminal(text: str) -> None:
    assert is_harmless(plain(text))
    assert "\n" not in plain_line(text)
    assert "\u202e" not in plain(text)


@given(st.text(alphabet=st.characters(blacklist_categories=("Cs",))))
def test_json_for_a_terminal_is_harmless_and_means_the_same(text: str) -> None:
    shown = to_json([text])
    assert is_harmless(shown)
    assert json.loads(shown) == [text]


def test_an_escape_sequence_is_shown_as_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_lines([f"text {HARMFUL}"])
    say(f"problem: {HARMFUL}")
    shown = capsys.readouterr()
    for stream in (shown.out, shown.err):
        assert "\\x1b]0;owned\\x07 \\x1b[2J \\x9b31m \\u202e \\x0d \\x08 \\x7f" in stream


def test_a_stream_of_few_characters_gets_escapes_instead_of_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stderr", narrow)
    say("Straße ☃")
    narrow.seek(0)
    assert narrow.read() == "Stra\\xdfe \\u2603\n"


@pytest.mark.parametrize("width", [None, 40, 80, 200])
def test_no_cell_and_no_name_of_a_table_carries_an_escape(width: int | None) -> None:
    text = table_text([f"a{HARMFUL}", "b"], [[HARMFUL, 1], ["plain", 2]], width=width)
    assert is_harmless(text)


def test_ids_stand_to_the_left_and_numbers_to_the_right() -> None:
    rows = [("0123456789", 5, share(0.5)), ("12", 1000, share(0.25))]
    lines = table_text(["doc_id", "tokens", "share"], rows).splitlines()
    assert lines[2] == "0123456789       5  50.0%"
    assert lines[3] == "12           1,000  25.0%"


def test_a_table_is_as_wide_as_the_terminal_and_loses_nothing() -> None:
    why = "reference changed: 4b37f706 -> 78a3d1db; a shard was renamed, moved or removed"
    rows = [("diversity", "topic_distribution", 12, 1_234_567, duration(100), why)]
    columns = ["stage", "asset", "shards", "documents", "about", "why"]
    text = table_text(columns, rows, width=80)
    assert all(len(line) <= 80 for line in text.splitlines())
    folded = "".join(line[-1:] and line for line in text.splitlines()[2:]).split()
    assert set(why.split()) <= set("".join(folded).replace(";", "; ").split()) | set(folded)
    assert "topic_distribution" in text
    assert "1,234,567" in text


def test_more_columns_than_fit_are_shown_a_value_a_line() -> None:
    columns = [f"column_{number}" for number in range(20)]
    text = table_text(columns, [[f"value of {name}" for name in columns]] * 2, width=80)
    assert text.count("-- row") == 2
    assert all(f"value of {name}" in text for name in columns)


def test_states_have_colours_on_a_terminal_only() -> None:
    rows = [("a", "stale"), ("b", "failed"), ("c", "current")]
    styled = table_text(["asset", "state"], rows, width=80, is_styled=True)
    assert "\x1b[33mstale" in styled
    assert "\x1b[31mfailed" in styled
    assert "\x1b" not in table_text(["asset", "state"], rows)


def test_a_name_in_brackets_is_no_markup() -> None:
    assert "[bold]web[/bold]" in table_text(["source"], [["[bold]web[/bold]"]], width=80)


def csv_of(values: list[object], name: str = "text") -> str:
    buffer = io.BytesIO()
    write_csv(pa.table({name: values}), buffer)
    return buffer.getvalue().decode()


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1", "＋1", "－1", "＠x"],
)
def test_a_spreadsheet_gets_no_formula_out_of_a_text(text: str) -> None:
    assert csv_of([text]).splitlines(keepends=True)[1].startswith("\"'")


def test_a_number_below_0_and_an_ordinary_text_stay_as_they_are() -> None:
    assert csv_of([-1.5]) == '"text"\n-1.5\n'
    assert csv_of(["a = b", None]) == '"text"\n"a = b"\n\n'
    assert csv_of([["=1"]]) == '"text"\n"[""=1""]"\n'
    assert csv_of(["x"], name="=evil") == '"\'=evil"\n"x"\n'


def test_only_csv_is_changed_for_spreadsheets(tmp_path: Path) -> None:
    write_tabular(pa.table({"text": ["=1+1"]}), tmp_path / "x.jsonl")
    assert json.loads((tmp_path / "x.jsonl").read_text()) == {"text": "=1+1"}


def test_a_format_that_is_not_written_is_refused() -> None:
    assert chosen_format("table", json=True) == "json"
    with pytest.raises(ConfigError, match="--format is one of table, csv, json, parquet"):
        chosen_format("xlsx", json=False)


@pytest.mark.parametrize(
    ("value", "words"), [(999, "999"), (12_345, "12.3k"), (4_500_000, "4.5M"), (2e9, "2.0B")]
)
def test_counts_in_a_bar_are_short(value: float, words: str) -> None:
    assert short(value) == words


def test_progress_says_how_far_how_fast_and_how_much_longer() -> None:
    assert pace(500, 1500, 10.0) == "50/s, 20 s left"
    assert pace(0, 1500, 10.0) == ""
    words = progress_words(500, 1500, 10.0, "documents")
    assert words == "500 of 1,500 documents (50/s, 20 s left)"
    assert size(1_500_000) == "1.5 MB"


def test_bars_reach_the_terminal_while_stderr_is_a_file(tmp_path: Path) -> None:
    """As under Dagster, which sends the process's stderr to a file while a step runs."""
    controller, terminal = pty.openpty()
    before = os.dup(2)
    try:
        os.dup2(terminal, 2)
        with Bars() as bars:
            with (tmp_path / "stderr").open("wb") as file:
                os.dup2(file.fileno(), 2)
                bars.update("perplexity", "web [b]", 30, 120)
                bars.update("perplexity", "web [b]", 60, 120)
                bars._progress.refresh()
            os.dup2(terminal, 2)
        shown = ""
        while select.select([controller], [], [], 0.2)[0]:
            shown += os.read(controller, 65_536).decode()
    finally:
        os.dup2(before, 2)
        os.close(before)
    assert "perplexity" in shown
    assert "web [b]" in shown
    assert "60/120" in shown
    assert (tmp_path / "stderr").read_bytes() == b""


def test_where_there_is_no_terminal_a_line_comes_every_half_minute(
    capfd: pytest.CaptureFixture[str],
) -> None:
    now = [0.0]
    with Bars(clock=lambda: now[0]) as bars:
        for second in range(0, 91, 10):
            now[0] = float(second)
            bars.update("perplexity", "web", second, 100)
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "  perplexity [web]: 30 of 100 documents (1/s, 70 s left)"
    assert len(lines) == 3


def test_a_run_goes_on_when_nobody_reads_what_it_says() -> None:
    program = (
        "from samplemix_dagster.show.bars import Bars\n"
        "from samplemix_dagster.show.terminal import say\n"
        "with Bars() as bars:\n"
        "    for _ in range(20000):\n"
        "        bars.note('a line that nobody reads')\n"
        "        say('another')\n"
        "print('done')\n"
    )
    shell = f"{sys.executable} -c {shlex.quote(program)} 2>&1 >&3 | head -1 > /dev/null"
    done = subprocess.run(
        ["bash", "-c", f"{{ {shell}; }} 3>&1"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "done\n"


def test_own_stderr_is_another_file_of_the_same_place(capfd: pytest.CaptureFixture[str]) -> None:
    stream = own_stderr()
    stream.write("Straße\n")
    stream.close()
    assert capfd.readouterr().err == "Straße\n"
