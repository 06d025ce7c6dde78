"""Bits by the letter: another alphabet is no advantage; what has no language is no language."""

from pathlib import Path

import numpy as np
import pytest

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.stages.quality.calibration import CALIBRATION, read_calibration
from samplemix_dagster.stages.quality.comparing import compared_bits
from samplemix_dagster.stages.quality.loss.letters import LETTERS
from samplemix_dagster.stages.quality.loss.perplexity import PERPLEXITY
from samplemix_dagster.stages.quality.quality import QUALITY
from tests.engine.changes import rewrite_one_document, settings_changed
from tests.engine.runs import Run, rows, run, run_changed, version
from tests.projects import (
    copy_project,
    jsonl,
    needs_encoder,
    noise,
    open_project,
    shard_rows,
    write_shard,
)

pytestmark = needs_encoder
CYRILLIC = {ord("a") + n: 0x430 + n for n in range(26)} | {
    ord("A") + n: 0x410 + n for n in range(26)
}
IN_CYRILLIC = "select doc_id from scores where num_bytes > 1.3 * num_letters"


def write_some_in_cyrillic(root: Path) -> None:
    """Give each third document of ``news`` another alphabet, letter by letter."""
    for shard in range(2):
        found = shard_rows("news", shard)
        for row in found[::3]:
            row["text"] = row["text"].translate(CYRILLIC)
        write_shard(root, "news", shard, found)


@pytest.fixture(scope="module")
def by_letter(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The finished project with some Cyrillic, told by the letter, within its sources."""
    return run_changed(
        tmp_path_factory.mktemp("letter") / "project",
        write_some_in_cyrillic,
        settings_changed("corpus", "language", to="created"),
        settings_changed("quality", "calibrate_by", to="source_language"),
        settings_changed("quality", "unit", to="letter"),
        settings_changed("quality", "no_language", to="parent"),
    )


def test_the_bits_compared_are_those_of_the_text_by_its_letters(by_letter: Run) -> None:
    recipes, seen = Recipes(by_letter.project), set()
    scored = {
        row["doc_id"]: row
        for row in rows(
            by_letter.root, "select doc_id, nll_nats, num_scored_tokens, num_letters from scores"
        )
    }
    for shard in by_letter.project.all_shards():
        bits = compared_bits(recipes, [PERPLEXITY], shard)
        table = recipes.lake.read_table(recipes.feature_key(LETTERS, shard))
        names = table.column("doc_id").to_pylist()
        for name, found in zip(names, bits, strict=True):
            row = scored[name]
            # Scored are all tokens of a text, so that all its bytes are.
            wanted = row["nll_nats"] / np.log(2) / row["num_letters"]
            assert found == pytest.approx(wanted, rel=0.02)
            seen.add(name)
    assert seen == set(scored)


def test_inside_a_source_of_no_language_the_order_is_that_of_the_bits_by_letter(
    by_letter: Run,
) -> None:
    # No text says when it was created as a language: all are `und`, and none has a group.
    calibration = read_calibration(Recipes(by_letter.project), CALIBRATION)
    assert set(calibration.groups) == {"", "letters", "news", "web"}
    found = rows(
        by_letter.root,
        "select quality, bits_per_byte * num_bytes / num_letters as bits from scores "
        "where source = 'news' order by bits, quality desc",
    )
    qualities = [row["quality"] for row in found]
    assert qualities == sorted(qualities, reverse=True)
    assert len(set(qualities)) > 20


def test_another_alphabet_has_twice_the_bits_by_the_letter_and_ours_about_as_many(
    by_letter: Run, tmp_path: Path
) -> None:
    root = copy_project(by_letter.root, tmp_path / "project")
    settings_changed("quality", "unit", to="byte")(root)
    in_cyrillic = {row["doc_id"] for row in rows(by_letter.root, IN_CYRILLIC)}
    assert len(in_cyrillic) == sum(len(shard_rows("news", shard)[::3]) for shard in range(2))
    by_unit = [Recipes(by_letter.project), Recipes(open_project(root))]
    for shard in by_letter.project.all_shards():
        letter, byte = (compared_bits(recipes, [PERPLEXITY], shard) for recipes in by_unit)
        table = by_unit[0].lake.read_table(by_unit[0].feature_key(LETTERS, shard))
        is_cyrillic = [name in in_cyrillic for name in table.column("doc_id").to_pylist()]
        ratio = letter / byte
        assert (ratio[is_cyrillic] > 1.5).all()
        assert (ratio[~np.array(is_cyrillic)] < 1.1).all()


def test_turning_it_reads_texts_and_runs_no_model(by_letter: Run) -> None:
    assert "letter_counts" in by_letter.assets
    assert run(by_letter.root).outcomes == []


def test_a_rewritten_document_alone_is_counted_again(by_letter: Run, tmp_path: Path) -> None:
    root = copy_project(by_letter.root, tmp_path / "project")
    write_some_in_cyrillic(root)
    before = version(root)
    rewrite_one_document(root)
    found = run(root).counts("letter_counts")
    assert sum(found.values()) >= 1
    assert version(root) != before


def test_without_the_keys_there_is_no_such_stage(finished: Path, tmp_path: Path) -> None:
    project = open_project(finished)
    assert not LETTERS.stages(project.config)
    root = copy_project(finished, tmp_path / "project")
    settings_changed("quality", "unit", to="byte")(root)
    settings_changed("quality", "no_language", to="own")(root)
    assert not Planner(open_project(root)).plan().tasks


def test_two_sources_with_one_shard_have_each_its_own_quality(tmp_path: Path) -> None:
    def share_a_shard(root: Path) -> None:
        content = (root / "data/news/part-0.jsonl").read_bytes()
        (root / "data/web").mkdir(exist_ok=True)
        settings_changed("corpus", "sources", "copy", to={"path": "data/copy/*.jsonl"})(root)
        (root / "data/copy").mkdir()
        (root / "data/copy/part-0.jsonl").write_bytes(content)
        others = [{"text": noise(f"noise {number}")} for number in range(40)]
        (root / "data/copy/part-1.jsonl").write_bytes(jsonl(others))

    done = run_changed(
        tmp_path / "project",
        settings_changed("corpus", "duplicates", to="keep"),
        settings_changed("quality", "calibrate_by", to="source_language"),
        share_a_shard,
    )
    recipes = Recipes(done.project)
    same = [shard for shard in done.project.all_shards() if shard.source in ("news", "copy")]
    digests = [shard.digest for shard in same]
    [twice] = [digest for digest in set(digests) if digests.count(digest) == 2]
    keys = {recipes.feature_key(QUALITY, shard) for shard in same if shard.digest == twice}
    assert len(keys) == 2
    one, other = (recipes.lake.read_table(key) for key in sorted(keys))
    assert one.column("doc_id").equals(other.column("doc_id"))
    assert not one.column("quality").equals(other.column("quality"))
