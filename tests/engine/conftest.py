"""A finished project, copies of it, and runs after each change, each made once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.runs import Run, run_changed
from tests.projects import copy_project, finished_project


@pytest.fixture(scope="session")
def finished() -> Path:
    """A project that was run once. Nobody changes it."""
    return finished_project()


@pytest.fixture
def root(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished project, to be changed."""
    return copy_project(finished, tmp_path / "project")


@pytest.fixture(scope="session")
def after(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """The run after one change of the finished project, by the change's name. Read only."""
    made: dict[str, Run] = {}

    def of(change: str) -> Run:
        if change not in made:
            made[change] = run_changed(tmp_path_factory.mktemp("change") / "project", change)
        return made[change]

    return of
