"""The columns that a mixture's page promises are those that its ledger has."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from samplemix_dagster.runs.work.run import run_project
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.wiring.assets.mixture import look
from tests.engine.runs import version
from tests.projects import (
    copy_project,
    finished_project,
    needs_encoder,
    open_project,
    read_settings,
    write_settings,
)

pytestmark = needs_encoder


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mixtures": {"default": {"budget_tokens": 2000, "shares_by": "language"}}},
        {"exclude": {"external": {"spam": {"file": "spam.csv", "values": ["yes"]}}}},
    ],
)
def test_a_page_names_the_columns_of_the_ledger(settings: dict[str, Any], tmp_path: Path) -> None:
    root = copy_project(finished_project(), tmp_path / "project")
    (root / "spam.csv").write_text("id,score\nnews-0-1,yes\n")
    write_settings(root, {**read_settings(root), **settings})
    project = open_project(root)
    run_project(project)
    (told,) = look(project, "default").tables
    folder = project.lake.path(keys.version_folder("default", version(root)))
    ledger = next((folder / "ledger").rglob("*.parquet"))
    assert [column.name for column in told.columns] == pq.read_schema(ledger).names
