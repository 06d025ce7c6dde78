"""The lineage in text: a tree that a person reads and that grep finds its way in."""

from typing import Any

import pytest

from samplemix_dagster.show.lineage_tree import lineage_text


def node(name: str, kind: str, inputs: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    found = {"id": name, "kind": kind, "name": name, "version": "", "note": "", "place": ""}
    return {**found, "inputs": list(inputs), "is_there": True, **more}


def lineage_of(*nodes: dict[str, Any]) -> dict[str, Any]:
    made = {"made_at": "then", "made_by": None, "run_id": None, "samplemix_version": "1"}
    git = {"commit": "c" * 40, "is_dirty": True}
    return {"root": nodes[0]["id"], "nodes": nodes, "git": git, "manifest": "m.json", **made}


FOUND = lineage_of(
    node("default", "mixture", ("beta", "grams"), version="a" * 24, note="9 tokens"),
    node("beta", "fit", ("grams",), version="b" * 24, is_there=False),
    node("grams", "feature", ("web", "tokenizer"), sources=["news", "web"]),
    node("web", "source", ("x/1.jsonl",), note="1 shard"),
    node("x/1.jsonl", "shard", note="3 documents"),
    node("tokenizer", "model", place="models/small", files=["a.json", "b.json"]),
)


def test_a_lineage_is_drawn_as_this() -> None:
    assert (
        lineage_text(FOUND)
        == """\
mixture default  aaaaaaaaaaaa  9 tokens
├─ fit beta  bbbbbbbbbbbb  GONE
│  └─ grams of news, web
│     ├─ source web  1 shard
│     │  └─ shard x/1.jsonl  3 documents
│     └─ model tokenizer  models/small
│           a.json
│           b.json
└─ grams of news, web  (above)

made then by unknown, without Dagster, samplemix 1, commit cccccccccccc (dirty)
manifest m.json
"""
    )


def test_a_pipe_gets_one_line_for_each_thing_however_long() -> None:
    long = "/".join(["folder"] * 200)
    text = lineage_text(lineage_of(node("default", "mixture", (long,)), node(long, "shard")))
    assert f"└─ shard {long}\n" in text


@pytest.mark.parametrize("width", [30, 60])
def test_a_terminal_gets_no_line_that_is_too_long_and_every_word(width: int) -> None:
    text = lineage_text(FOUND, width)
    assert max(map(len, text.splitlines())) <= width
    assert set(lineage_text(FOUND).split()) - set(text.split()) == set()


def test_what_is_folded_stays_inside_its_branch() -> None:
    found = lineage_of(
        node("default", "mixture", ("web", "other")),
        node("web", "source", note="many words that are folded"),
        node("other", "source"),
    )
    lines = lineage_text(found, 20).splitlines()
    last = next(at for at, line in enumerate(lines) if line.startswith("└─"))
    assert last > 2
    assert all(line.startswith(("├─ ", "│  ")) for line in lines[1:last])


def test_a_name_with_a_line_end_adds_no_line() -> None:
    name = "part\n└─ shard never/read.jsonl\x1b[2J"
    text = lineage_text(lineage_of(node("default", "mixture", (name,)), node(name, "shard")))
    assert "└─ shard part └─ shard never/read.jsonl\\x1b[2J\n" in text


def test_no_style_is_in_it_even_where_colours_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in lineage_text(FOUND)
