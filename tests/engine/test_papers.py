"""Papers say what the ledger says; a recipe without texts rebuilds the files to the byte."""

import hashlib
import json
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from samplemix_dagster.errors import CheckFailedError, InputError
from samplemix_dagster.storage.takedown_entries import Entry
from samplemix_dagster.storage.takedowns import add_takedowns
from samplemix_dagster.trace.exports.exported import open_export
from samplemix_dagster.trace.papers.card import card
from samplemix_dagster.trace.papers.croissant import croissant
from samplemix_dagster.trace.papers.facts import UNSTATED, Facts, facts_of, licence_of
from samplemix_dagster.trace.papers.rebuild import rebuild, write_recipe
from samplemix_dagster.trace.papers.summary import TO_FILL, californian, european
from samplemix_dagster.trace.takedown import held_words_of_recipe
from tests.engine.runs import Run, rows, run_changed, version
from tests.projects import (
    make_project,
    needs_encoder,
    open_project,
    prose,
    read_settings,
    reference_folder,
    shard_rows,
    write_settings,
    write_shard,
)

pytestmark = needs_encoder


def state_licences(root: Path) -> None:
    """Some documents state a licence and a day; exports are Parquet."""
    stated = shard_rows("news", 0)
    for number, row in enumerate(stated):
        row |= {"license": "CC BY-SA 3.0" if number % 2 else "ask | <us>", "date": "2024-02-03"}
        row["url"] = f"https://www.site{number % 4}.example:443/{number}"
    write_shard(root, "news", 0, stated)
    settings = read_settings(root)
    settings["export"] = {"format": "parquet", "files": 2}
    write_settings(root, settings)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The project after a run. Nobody changes it."""
    return run_changed(tmp_path_factory.mktemp("papers") / "project", state_licences)


@pytest.fixture(scope="module")
def facts(made: Run) -> Facts:
    return facts_of(made.project, "default", version(made.root))


@pytest.mark.parametrize("kind", ["source", "language", "licence", "source licence"])
def test_each_division_adds_up_to_what_the_report_says(kind: str, facts: Facts) -> None:
    report = facts.manifest["report"]
    total: dict[str, int] = {}
    for part in facts.parts[kind].values():
        for name, count in part.to_json().items():
            total[name] = total.get(name, 0) + count
    assert total["documents"] == report["num_documents"]
    assert total["documents_drawn"] == report["num_documents_drawn"]
    assert total["draws"] == report["num_draws"]
    assert total["tokens_drawn"] == report["realised_tokens"]


def test_sources_are_those_of_the_ledger(facts: Facts, made: Run) -> None:
    sql = (
        "select source, sum(copies * num_tokens)::bigint as n from ledger "
        "where mixture = 'default' group by 1 having n > 0"
    )
    drawn = {name: part.counts["tokens_drawn"] for name, part in facts.drawn("source")}
    assert drawn == {row["source"]: row["n"] for row in rows(made.root, sql)}


def test_a_licence_is_told_by_spdx_or_as_it_is_written(facts: Facts) -> None:
    assert set(facts.parts["licence"]) == {"CC-BY-SA-3.0", "ask | <us>", UNSTATED}
    assert "news: CC-BY-SA-3.0" in facts.parts["source licence"]


def test_domains_are_hosts_without_www_and_port(facts: Facts) -> None:
    assert set(facts.parts["domain"]) == {"example.org", *(f"site{n}.example" for n in range(4))}


def test_days_are_those_of_drawn_documents(facts: Facts) -> None:
    assert (facts.first_date, facts.last_date) == ("2024-02-03", "2024-02-03")
    dated = sum(
        part.counts["documents_drawn"] for name, part in facts.drawn("licence") if name != UNSTATED
    )
    assert facts.num_undated == facts.manifest["report"]["num_documents_drawn"] - dated


@pytest.mark.parametrize("paper", [european, californian, card])
def test_a_paper_names_version_tokens_and_every_source(paper: object, facts: Facts) -> None:
    text = paper(facts)  # type: ignore[operator]
    assert facts.manifest["version"] in text
    assert f"{facts.tokens_drawn:,}" in text
    assert all(name in text for name, _ in facts.drawn("source"))


@pytest.mark.parametrize("paper", [european, californian])
def test_what_only_the_provider_knows_is_left_to_the_provider(paper: object, facts: Facts) -> None:
    assert paper(facts).count(TO_FILL) >= 4  # type: ignore[operator]


def test_what_others_wrote_cannot_break_a_table(facts: Facts) -> None:
    assert "| ask \\| &lt;us> |" in european(facts)


def test_the_californian_list_has_twelve_items(facts: Facts) -> None:
    numbers = [line.partition(".")[0] for line in californian(facts).splitlines()[4:] if line]
    assert numbers == [str(number) for number in range(1, 13)]


def test_croissant_has_every_file_with_its_sha256_and_a_record_of_each_field(
    facts: Facts, made: Run
) -> None:
    exported = open_export(made.project, "default")
    found = json.loads(json.dumps(croissant(facts, exported)))
    *files, parts = found["distribution"]
    assert len(files) == 2
    assert all(fnmatch(file["name"], parts["includes"]) for file in files)
    for file in files:
        content = (exported.folder / file["contentUrl"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        assert file["contentSize"] == f"{len(content)} B"
    [records] = found["recordSet"]
    assert [field["name"] for field in records["field"]] == [
        "doc_id",
        "source",
        "copy",
        "num_tokens",
        "id",
        "text",
    ]
    assert found["rai:dataCollectionTimeframe"] == ["2024-02-03", "2024-02-03"]


# -- rebuilding ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recipe(made: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe of the version. Nobody changes it."""
    folder = tmp_path_factory.mktemp("recipe") / "recipe"
    write_recipe(made.project, "default", version(made.root), folder)
    return folder


def of_another_team(folder: Path) -> Path:
    """A project of the same shards under other names, with nothing computed."""
    root = make_project(folder / "other", reference_folder())
    state_licences(root)
    for file in sorted((root / "data").rglob("part-*")):
        file.rename(file.with_name(file.name.replace("part", "theirs")))
    return root


def digests(manifest: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(file["name"], file["digest"]) for file in manifest["files"]]  # type: ignore[index]


def test_another_team_with_the_same_shards_rebuilds_every_file_to_the_byte(
    recipe: Path, made: Run, tmp_path: Path
) -> None:
    other = of_another_team(tmp_path)
    [done] = rebuild(open_project(other), recipe, tmp_path / "out")
    exported = open_export(made.project, "default")
    assert digests(done) == digests(exported.manifest)
    for file in exported.files:
        mine, theirs = exported.folder / file, tmp_path / "out" / "parquet-2" / file
        assert mine.read_bytes() == theirs.read_bytes()
    assert not (other / ".samplemix/lake/mixtures").exists()


def test_who_rebuilds_what_was_taken_down_there_is_told(recipe: Path, tmp_path: Path) -> None:
    project = open_project(of_another_team(tmp_path))
    assert held_words_of_recipe(project, recipe) == ""
    files = sorted((recipe / "ledger").rglob("*.parquet"))
    ledger = [row for file in files for row in pq.read_table(file).to_pylist()]
    drawn = next(row for row in ledger if row["copies"])
    entry = Entry("id", drawn["doc_id"], "asked", "2026-01-31")
    add_takedowns(project.root / "takedown.jsonl", [entry])
    told = held_words_of_recipe(project, recipe)
    assert told.startswith("these files hold 1 document taken down since, in ")


def test_no_licence_is_stated_by_words_that_say_so() -> None:
    assert licence_of({"license": " Unknown "}) == licence_of({"license": "n/a"}) == UNSTATED
    assert licence_of({"license": "unknown", "licence": "MIT"}) == "MIT"


def test_a_recipe_holds_no_text(recipe: Path) -> None:
    words = [" ".join(prose(f"news-1-{n}").split()[:3]).encode() for n in range(20)]
    for file in recipe.rglob("*.*"):
        content = file.read_bytes()
        assert not any(word in content for word in words), file


def test_a_shard_that_is_another_is_an_error_by_name(recipe: Path, tmp_path: Path) -> None:
    other = of_another_team(tmp_path)
    file = next((other / "data/letters").iterdir())
    file.write_bytes((other / "data/news").joinpath("theirs-1.jsonl").read_bytes())
    with pytest.raises(InputError, match="letters"):
        rebuild(open_project(other), recipe, tmp_path / "out")


def test_an_altered_recipe_is_refused(recipe: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "recipe"
    shutil.copytree(recipe, copy)
    (copy / "manifest.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="is not what the recipe says"):
        rebuild(open_project(of_another_team(tmp_path)), copy, tmp_path / "out")


def test_other_bytes_are_told(recipe: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "recipe"
    shutil.copytree(recipe, copy)
    stated = json.loads((copy / "recipe.json").read_text("utf-8"))
    stated["exports"]["parquet-2"]["files"][0]["digest"] = "0" * 32
    (copy / "recipe.json").write_text(json.dumps(stated), "utf-8")
    with pytest.raises(CheckFailedError, match="1 of 2 files have other bytes"):
        rebuild(open_project(of_another_team(tmp_path)), copy, tmp_path / "out")
