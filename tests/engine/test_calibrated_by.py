"""Groups within which bits per byte are compared: a source's languages lean on the source."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.stages.quality.calibration import CALIBRATION, read_calibration
from samplemix_dagster.stages.quality.comparing import groups_of
from tests.engine.changes import settings_changed
from tests.engine.runs import Run, rows, run, run_changed
from tests.projects import copy_project, needs_encoder, open_project

pytestmark = needs_encoder
SOURCES = ("letters", "news", "web")


@pytest.fixture(scope="module")
def change(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The finished project, calibrated by source and language."""
    by = settings_changed("quality", "calibrate_by", to="source_language")
    return run_changed(tmp_path_factory.mktemp("calibrated") / "project", by)


def test_a_language_of_a_source_is_part_of_that_source(change: Run) -> None:
    calibration = read_calibration(Recipes(change.project), CALIBRATION)
    languages = rows(change.root, "select distinct source || '/' || language as found from scores")
    for row in languages:
        source = row["found"].partition("/")[0]
        assert calibration.parents[row["found"]] == source
        assert calibration.parents[source] == ""
    # Each source has forty documents, and none of its languages has: those use the source's.
    assert set(SOURCES) <= set(calibration.groups)
    for source in SOURCES:
        assert calibration.lookup(f"{source}/xx") == calibration.groups[source]


def test_half_of_each_source_is_above_the_middle(change: Run) -> None:
    found = rows(
        change.root,
        "select source, sum(num_reference_tokens) filter (quality > 0.5) / "
        "sum(num_reference_tokens) as above from scores group by source",
    )
    assert {row["source"] for row in found} == set(SOURCES)
    for row in found:
        assert 0.3 < row["above"] < 0.7, json.dumps(found)


def test_where_no_text_says_its_language_the_order_inside_a_source_is_that_of_the_bits(
    tmp_path: Path,
) -> None:
    done = run_changed(
        tmp_path / "project",
        settings_changed("corpus", "language", to="created"),
        settings_changed("quality", "calibrate_by", to="source_language"),
    )
    for source in SOURCES:
        found = rows(
            done.root,
            "select quality from scores where source = "
            f"'{source}' order by bits_per_byte, quality desc",
        )
        qualities = [row["quality"] for row in found]
        assert qualities == sorted(qualities, reverse=True)
        assert len(set(qualities)) > 20


def test_turning_it_scores_no_text_again(change: Run) -> None:
    assert {"perplexity", "embeddings", "reference_model/main"} & change.assets == set()
    assert {"calibration", "quality_scores"} <= change.assets
    assert run(change.root).outcomes == []
    assert open_project(change.root).config.quality.calibrate_by == "source_language"


@pytest.mark.parametrize(
    ("by", "no_language", "wanted"),
    [
        ("source", "own", "{source}"),
        ("language", "own", "{language}"),
        ("source_language", "own", "{source}/{language}"),
        ("none", "own", ""),
        ("language", "parent", "{known}"),
        ("source_language", "parent", "{source}{slash}{known}"),
        ("source", "parent", "{source}"),
    ],
)
def test_groups_bear_their_names_as_a_whole(
    by: str, no_language: str, wanted: str, finished: Path, tmp_path: Path
) -> None:
    root = copy_project(finished, tmp_path / "project")
    settings_changed("quality", "calibrate_by", to=by)(root)
    settings_changed("quality", "no_language", to=no_language)(root)
    recipes, without = Recipes(open_project(root)), 0
    for shard in recipes.project.all_shards():
        languages = read(recipes, DOCUMENTS, shard, "language").column("language").to_pylist()
        for group, language in zip(groups_of(recipes, shard), languages, strict=True):
            known = "" if language in ("und", "zxx") else language
            without += not known
            slash = "/" if known else ""
            assert group == wanted.format(
                source=shard.source, language=language, known=known, slash=slash
            )
    assert without


@pytest.mark.parametrize(("names", "median"), [("whole", 9.0), (None, 2.0)])
def test_an_older_calibration_by_source_is_read_as_what_it_meant(
    names: str | None, median: float
) -> None:
    """It had one character of each name, so that sources that begin alike were one."""

    def fitted(median: float) -> dict[str, float]:
        return {"median": median, "scale": 1.0, "num_documents": 99}

    stated = {"groups": {"": fitted(9.0), "n": fitted(2.0)}, "parents": {"n": ""}}
    recipes = SimpleNamespace(
        config=SimpleNamespace(
            quality=SimpleNamespace(calibrate_by="source"),
            corpus=SimpleNamespace(sources={"news": None, "notes": None, "web": None}),
        ),
        fit_key=lambda *_: "fits/calibration/x",
        lake=SimpleNamespace(read_json=lambda _: stated | ({"names": names} if names else {})),
    )
    found = read_calibration(cast("Recipes", recipes), CALIBRATION)
    assert [found.lookup(name).median for name in ("news", "notes", "web")] == [median, median, 9.0]
