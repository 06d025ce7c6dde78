"""A version's recipes as a graph: it hashes to itself, and what was altered is found."""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from samplemix_dagster.engine.addresses.recipe_graph import RecipeGraph
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.stages import Settings
from samplemix_dagster.section import Section
from samplemix_dagster.stages.scores import SCORES
from samplemix_dagster.trace.difference.difference import difference
from samplemix_dagster.trace.verify.verifying import verify
from samplemix_dagster.trace.versions import list_versions
from tests.engine.runs import manifest, run, version
from tests.golden.kept import FORM_2, unpack
from tests.projects import copy_project, finished_project, needs_encoder, open_project

pytestmark = needs_encoder


@pytest.fixture
def made() -> dict[str, Any]:
    """A version's manifest, which a test may alter."""
    return copy.deepcopy(manifest(finished_project()))


def test_a_version_is_the_hash_of_its_graph(made: dict[str, Any]) -> None:
    assert RecipeGraph.of_manifest(made).problems(made["version"]) == []


def test_the_stated_edges_are_those_that_hashes_give(made: dict[str, Any]) -> None:
    stated = RecipeGraph.of_manifest(made)
    found = RecipeGraph.of_manifest({**made, "needs": {}})
    assert set(stated.recipes) == set(made["needs"])
    for node in stated.recipes:
        assert stated.needs(node) == found.needs(node)


def test_every_node_is_reached_from_the_mixture(made: dict[str, Any]) -> None:
    graph, reached, waiting = RecipeGraph.of_manifest(made), set(), ["mixture"]
    while waiting:
        node = waiting.pop()
        if node not in reached:
            reached.add(node)
            waiting += graph.needs(node)
    assert set(graph.recipes) - reached == {"fit/reference-main"}


@pytest.mark.parametrize(
    "alter",
    [
        lambda m: m["recipe"]["mixture"].update(seed=1),
        lambda m: m["shards"].pop(),
        lambda m: m["shards"][0].update(digest="0" * 32),
        lambda m: m["features"]["news"]["quality"]["recipe"].update(direction="high"),
        lambda m: m["features"]["news"]["scores"].update(fingerprint="0" * 24),
        lambda m: m["models"]["encoder"].update(digest="0" * 32),
        lambda m: m["fits"].update(topic_fit="0" * 24),
        lambda m: m["features"]["web"]["documents"]["recipe"].update(text="0" * 24),
    ],
)
def test_one_altered_hash_or_recipe_is_found(
    alter: Callable[[dict[str, Any]], None], made: dict[str, Any]
) -> None:
    alter(made)
    assert RecipeGraph.of_manifest(made).problems(made["version"])


class _Before(Section):
    depth: int = 1


class _After(Section):
    LATER: ClassVar[Mapping[str, Any]] = {"width": 3}
    depth: int = 1
    width: int = 7
    """Its default is another than what stood for its absence."""


class _Around(Section):
    inner: _After
    many: dict[str, _After]


def test_a_later_key_at_the_value_of_its_absence_is_in_no_recipe() -> None:
    assert _After(width=3).for_recipe() == _Before().for_recipe()
    assert _After().for_recipe() == {"depth": 1, "width": 7}
    assert _After(width=3).model_dump() == {"depth": 1, "width": 3}


def test_a_section_that_was_recorded_before_a_key_came_is_read_without_it() -> None:
    recorded = {"inner": {"depth": 2}, "many": {"a": {}}}
    found = _Around.recorded(recorded)
    assert found.for_recipe() == {"inner": {"depth": 2}, "many": {"a": {"depth": 1}}}
    assert _Around.model_validate(recorded).inner.width == 7


def forget_a_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have today's code call every wide table by another recipe than the versions' own code did."""
    found = SCORES.settings

    def other(recipes: Recipes, source: str) -> Settings:
        return {**found(recipes, source), "a_stage_of_tomorrow": "0" * 24}

    monkeypatch.setattr(SCORES, "settings", other)


def test_code_that_calls_everything_otherwise_breaks_no_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = unpack(FORM_2, tmp_path)
    forget_a_stage(monkeypatch)
    project = open_project(root)
    for one in list_versions(project):
        found = verify(project, one["name"], one["version"])
        states = {check["check"]: check["state"] for check in found["checks"]}
        assert found["holds"], found["checks"]
        assert states["scored_again"] == "not_checked"
        assert states["drawn_again"] == "holds"


def test_what_lies_between_two_versions_of_other_code_stands_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copy_project(finished_project(), tmp_path / "project")
    before = version(root)
    settings = (root / "samplemix.yaml").read_text().replace("8000", "8500")
    (root / "samplemix.yaml").write_text(settings)
    run(root)
    forget_a_stage(monkeypatch)
    found = difference(open_project(root), ("default", before), ("default", version(root)))
    assert [cause["causes"] for cause in found["causes"]] == [["budget"]]
    assert found["drawn_states_match"] == {"a": True, "b": True}
