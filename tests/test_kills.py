"""A run that is killed loses nothing: the next one goes on to the same bytes.

Two kills here, twenty-one among the slow tests, a hundred in ``benchmarks/kill_campaign.py``.
"""

from pathlib import Path

import pytest

from tests.engine.changes import settings_changed
from tests.kills import campaign
from tests.projects import cluster_few, make_project, needs_encoder, reference_folder

pytestmark = needs_encoder


@pytest.mark.parametrize(
    ("through", "count", "seed"),
    [
        ("plain", 2, 1),
        # At .62 of its length, where tables stand.
        pytest.param("cli", 1, 5, marks=pytest.mark.slow),
        pytest.param("plain", 12, 1, marks=pytest.mark.slow),
        pytest.param("cli", 8, 1, marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_goes_on_to_the_same_ledger(
    through: str, count: int, seed: int, tmp_path: Path
) -> None:
    fresh = cluster_few(make_project(tmp_path / "fresh", reference_folder()))
    settings_changed("compute", "workers", to=2)(fresh)
    _, *kills = campaign(tmp_path, fresh, count, seed, through=through)
    assert len(kills) == count
    for kill in kills:
        assert kill["is_good"], kill
    assert sum(bool(kill["was_killed"]) for kill in kills) >= count // 2
    assert sum(bool(kill["tables_kept"]) for kill in kills) >= 1
