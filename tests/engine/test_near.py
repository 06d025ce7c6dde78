"""Groups of near-duplicates in a project: told, counted as one text, kept when it grows."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from samplemix_dagster.config.text.reading import parse_config
from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.errors import ConfigError
from samplemix_dagster.stages.exclusions.takedown import takedown_file
from samplemix_dagster.storage.takedown_entries import Entry
from samplemix_dagster.storage.takedowns import add_takedowns
from samplemix_dagster.trace.difference.difference import difference
from samplemix_dagster.trace.verify.verifying import verify
from tests.engine.runs import copies, manifest, rows, run, version
from tests.projects import (
    copy_project,
    finished_project,
    needs_encoder,
    open_project,
    prose,
    read_settings,
    write_settings,
    write_shard,
)

GROUPS = """
    select id, near_group, near_size from scores where id like 'copy%' order by id
"""


LEDGER = (
    "select doc_id, copies, reason, detail from ledger where mixture = 'default' and version = "
)


def copy_of(name: str, number: int) -> str:
    """Return a long text with one word in fifty replaced, so that no two copies are the same."""
    luck = random.Random(f"{name}/{number}")
    words = prose(name, sentences=30).split()
    for at in range(0, len(words), 50):
        words[min(len(words) - 1, at + luck.randrange(50))] = f"word{luck.randrange(10**6)}"
    return " ".join(words)


def copies_in(shard: int, numbers: range) -> list[dict[str, Any]]:
    return [
        {"id": f"copy-{name}-{shard}-{number}", "text": copy_of(name, number)}
        for name in ("ships", "stars")
        for number in numbers
    ]


def with_duplicates(root: Path, **duplicates: Any) -> None:
    settings = read_settings(root)
    settings["diversity"] = {**settings["diversity"], "duplicates": duplicates}
    write_settings(root, settings)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return copy_project(finished_project(), tmp_path / "project")


@needs_encoder
def test_groups_are_told_across_shards_and_change_no_draw(root: Path) -> None:
    write_shard(root, "news", 5, copies_in(5, range(4)))
    write_shard(root, "web", 5, copies_in(6, range(4, 6)))
    run(root)
    before, drawn = version(root), copies(root)
    with_duplicates(root, near="keep")
    done = run(root)
    assert {"near_groups", "near_duplicates"} <= done.assets
    assert done.assets & {"perplexity", "embeddings", "diversity_scores"} == set()
    found = rows(root, GROUPS)
    assert Counter(row["near_group"] for row in found).most_common() == [
        (row, 6) for row in dict.fromkeys(row["near_group"] for row in found)
    ]
    assert {row["near_size"] for row in found} == {6}
    assert len(found) == 12
    assert copies(root) == drawn
    assert version(root) != before
    assert "feature/news/near" in manifest(root)["needs"]["feature/news/scores"]
    for one in (before, version(root)):
        assert verify(open_project(root), "default", one, deep=5)["holds"]
    assert run(root).outcomes == []


@needs_encoder
def test_a_group_counts_as_a_power_of_its_texts(root: Path) -> None:
    write_shard(root, "news", 5, copies_in(5, range(5)))
    run(root)
    before = {row["doc_id"]: row["diversity"] for row in rows(root, "select * from scores")}
    made = version(root)
    with_duplicates(root, near={"power": 0.5})
    done = run(root)
    assert done.assets & {"perplexity", "embeddings", "diversity_calibration"} == set()
    for row in rows(root, "select * from scores"):
        expected = before[row["doc_id"]] * row["near_score"] ** 0.5
        assert row["diversity"] == pytest.approx(expected, rel=1e-3)
    told = difference(open_project(root), ("default", made), ("default", version(root)))
    assert "diversity.duplicates" in str(told["causes"])
    assert verify(open_project(root), "default", version(root), deep=5)["holds"]


@needs_encoder
def test_the_first_of_each_group_alone_is_drawn_and_others_say_of_which(root: Path) -> None:
    write_shard(root, "news", 5, copies_in(5, range(4)))
    write_shard(root, "web", 5, copies_in(6, range(4, 6)))
    with_duplicates(root, near="first")
    settings = read_settings(root)
    settings["mixtures"]["default"]["max_copies"] = 8
    write_settings(root, settings)
    run(root)
    groups = [
        sorted(row["doc_id"] for row in rows(root, f"select * from scores where id like '{like}'"))
        for like in ("copy-ships%", "copy-stars%")
    ]
    ledger = {row["doc_id"]: row for row in rows(root, LEDGER + f"'{version(root)}'")}
    for first, *others in groups:
        assert len(others) == 5
        assert ledger[first]["reason"] != "near_duplicate"
        for other in others:
            assert ledger[other]["copies"] == 0
            assert (ledger[other]["reason"], ledger[other]["detail"]) == ("near_duplicate", first)
    assert sum(row["reason"] == "near_duplicate" for row in ledger.values()) == 10
    assert verify(open_project(root), "default", version(root), deep=5)["holds"]
    assert run(root).outcomes == []


@needs_encoder
def test_a_group_whose_first_text_left_the_corpus_has_another_first(root: Path) -> None:
    settings = read_settings(root)
    settings["diversity"] = {**settings["diversity"], "refit": "never"}
    write_settings(root, settings)
    every = copies_in(5, range(4))
    write_shard(root, "news", 5, every)
    with_duplicates(root, near="first")
    run(root)
    gone = {min(doc_id(copy_of(name, n)) for n in range(4)) for name in ("ships", "stars")}
    write_shard(root, "news", 5, [row for row in every if doc_id(row["text"]) not in gone])
    done = run(root)
    assert "near_groups" not in done.assets
    reasons = rows(root, LEDGER + f"'{version(root)}' and reason = 'near_duplicate'")
    assert len(reasons) == 4
    assert {row["detail"] for row in reasons} & gone == set()


@needs_encoder
def test_of_a_group_whose_first_text_was_taken_down_another_one_stays(root: Path) -> None:
    write_shard(root, "news", 5, copies_in(5, range(4)))
    with_duplicates(root, near="first")
    group = sorted(doc_id(copy_of("ships", n)) for n in range(4))
    entry = Entry("id", group[0], "asked for", "2026-01-31")
    add_takedowns(takedown_file(open_project(root)), [entry])
    run(root)
    out = {
        row["doc_id"]: (row["reason"], row["detail"])
        for row in rows(root, "select * from exclusions")
        if row["doc_id"] in group
    }
    assert out == {
        group[0]: ("takedown", "asked for"),
        group[2]: ("near_duplicate", group[1]),
        group[3]: ("near_duplicate", group[1]),
    }


@needs_encoder
def test_a_copy_that_comes_later_joins_its_group_while_the_fit_is_kept(root: Path) -> None:
    settings = read_settings(root)
    settings["diversity"] = {**settings["diversity"], "refit": "never"}
    write_settings(root, settings)
    write_shard(root, "news", 5, copies_in(5, range(3)))
    with_duplicates(root, near={"power": 0})
    run(root)
    write_shard(root, "web", 5, copies_in(6, range(3, 5)))
    done = run(root)
    assert "near_groups" not in done.assets
    assert done.counts("near_duplicates") == {"web": 4}
    found = rows(root, GROUPS)
    assert len({row["near_group"] for row in found}) == 2
    assert sorted(row["near_size"] for row in found) == [3] * 6 + [4] * 4
    assert verify(open_project(root), "default", version(root))["holds"]


BASE = """\
corpus:
  sources: {a: {path: data/*}}
mixtures:
  default: {budget_tokens: 10M}
diversity:
  {}
"""


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("duplicates: {near: drop}", "duplicates"),
        ("duplicates: {near: {power: 2}}", "less than or equal to 1"),
        ("duplicates: {similarity: 0}", "greater than 0"),
        ("{duplicates: {}, metrics: {near: 'a:B'}}", "'near' is what groups"),
    ],
)
def test_what_cannot_be_done_with_duplicates_is_said_with_its_line(line: str, says: str) -> None:
    text = BASE.replace("{}", line) if line[0] != "{" else BASE.replace("\n  {}", " " + line)
    with pytest.raises(ConfigError, match=says) as refused:
        parse_config(text)
    assert "samplemix.yaml:" in str(refused.value)


def test_a_section_that_is_absent_is_in_no_recipe() -> None:
    config = parse_config(BASE.replace("\n  {}", " {}"))
    assert "duplicates" not in config.diversity.for_recipe()
