"""The ledger is the same bytes for every worker count, order, name of a file, and after a kill."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from samplemix_dagster.engine.workers import stop_workers
from tests.engine.changes import (
    add_a_shard,
    remove_a_shard,
    rename_a_shard,
    rewrite_one_document,
    settings_changed,
)
from tests.engine.runs import ledgers, run, run_changed
from tests.projects import (
    make_project,
    needs_encoder,
    open_project,
    read_settings,
    reference_folder,
    write_settings,
)

pytestmark = needs_encoder
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """The finished project's corpus and settings, before any run."""
    return make_project(tmp_path / "fresh", reference_folder())


@pytest.fixture
def many_workers() -> Iterator[None]:
    """Workers that live no longer than the test."""
    yield
    stop_workers()


@pytest.mark.usefixtures("many_workers")
@pytest.mark.parametrize("workers", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_any_number_of_workers_gives_the_same_ledger(
    workers: int, fresh: Path, finished: Path
) -> None:
    settings_changed("compute", "workers", to=workers)(fresh)
    run(fresh)
    assert ledgers(fresh) == ledgers(finished)


def test_the_order_of_the_sources_does_not_matter(fresh: Path, finished: Path) -> None:
    settings = read_settings(fresh)
    sources = settings["corpus"]["sources"]
    settings["corpus"]["sources"] = {name: sources[name] for name in ("letters", "web", "news")}
    write_settings(fresh, settings)
    run(fresh)
    assert ledgers(fresh) == ledgers(finished)


def test_the_names_of_the_shards_do_not_matter(fresh: Path, finished: Path) -> None:
    for number, path in enumerate(sorted((fresh / "data").rglob("part-*"))):
        ending = path.name.split(".", 1)[1]
        path.rename(path.with_name(f"{9 - number}-other.{ending}"))
    run(fresh)
    assert ledgers(fresh) == ledgers(finished)


def test_parts_of_a_source_share_out_the_work_and_change_nothing_else(
    root: Path, finished: Path
) -> None:
    settings_changed("corpus", "sources", "news", "parts", to=3)(root)
    split = run(root)
    assert split.assets == {"raw_shards"}
    assert sum(count for _, _, count in split.done) == 0
    assert ledgers(root) == ledgers(finished)


def test_refitting_always_makes_incremental_and_from_scratch_one(
    tmp_path: Path, fresh: Path
) -> None:
    always = settings_changed("diversity", "refit", to="always")
    first, then = (rewrite_one_document, add_a_shard), (remove_a_shard, rename_a_shard)
    steps = run_changed(tmp_path / "steps", always, *first).root
    for change in then:
        change(steps)
    run(steps)
    for change in (always, *first, *then):
        change(fresh)
    run(fresh)
    assert ledgers(steps) == ledgers(fresh)


def test_the_seed_alone_decides_luck_not_the_name_of_the_mixture(root: Path) -> None:
    settings = read_settings(root)
    settings["mixtures"]["another-name"] = dict(settings["mixtures"]["flat"])
    write_settings(root, settings)
    run(root)
    found = ledgers(root)
    assert found["another-name"] == found["flat"]


# -- killed ----------------------------------------------------------------------------------------

RUN_AND_TELL = """
import sys
from pathlib import Path
from tests.projects import open_project
from samplemix_dagster.engine.run import run_project
run_project(
    open_project(Path(sys.argv[1])),
    progress=lambda *words: print(*words, flush=True),
    on_outcome=lambda outcome: print("done", outcome.asset, flush=True),
)
print("finished", flush=True)
"""


def run_until_killed(root: Path, num_signs: int, seconds: float) -> bool:
    """Run in a process of its own, kill -9 it after so many signs of life; False: it was faster."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN_AND_TELL, str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=REPOSITORY,
        text=True,
    ) as process:
        assert process.stdout is not None
        for _ in range(num_signs):
            if not (line := process.stdout.readline()) or line == "finished\n":
                break
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    return process.returncode == -signal.SIGKILL


def kill_points(count: int, seed: int, first: int, last: int) -> list[tuple[int, float]]:
    """Points spread over a run, each at random within its share of it."""
    luck = random.Random(seed)
    width = (last - first) / count
    return [
        (round(first + width * (number + luck.random())), luck.uniform(0.0, 0.05))
        for number in range(count)
    ]


def times(root: Path) -> dict[Path, int]:
    """When each table was written."""
    tables = (root / ".samplemix").rglob("[!.]*.parquet")
    return {path: path.stat().st_mtime_ns for path in tables}


# From text to perplexity there are about 14 signs of life; what comes later loads much.
@pytest.mark.parametrize(("num_signs", "seconds"), kill_points(3, 0, 1, 14))
def test_a_killed_run_goes_on_to_the_same_ledger_without_doing_anything_twice(
    num_signs: int, seconds: float, fresh: Path, finished: Path
) -> None:
    assert run_until_killed(fresh, num_signs, seconds)
    before = times(fresh)
    assert run(fresh).done
    assert ledgers(fresh) == ledgers(finished)
    assert before.items() <= times(fresh).items()


@pytest.mark.slow
@pytest.mark.parametrize(("num_signs", "seconds"), kill_points(10, 1, 1, 75))
def test_a_killed_run_goes_on_to_the_same_ledger_wherever_it_was(
    num_signs: int, seconds: float, fresh: Path, finished: Path
) -> None:
    run_until_killed(fresh, num_signs, seconds)
    run(fresh)
    assert ledgers(fresh) == ledgers(finished)


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_at_the_same_ledger(
    fresh: Path, finished: Path
) -> None:
    for num_signs, seconds in kill_points(6, 2, 1, 12):
        run_until_killed(fresh, num_signs, seconds)
    run(fresh)
    assert ledgers(fresh) == ledgers(finished)


# -- damage ----------------------------------------------------------------------------------------


def test_a_damaged_table_is_named_and_made_again_once_it_is_removed(
    root: Path, finished: Path
) -> None:
    from samplemix_dagster.errors import LakeError

    lake = open_project(root).lake
    [damaged, *_] = sorted(lake.path("features/quality").rglob("*.parquet"))
    damaged.write_bytes(damaged.read_bytes()[:100])
    settings_changed("diversity", "weights", to={"topic": 2})(root)
    with pytest.raises(LakeError, match="is damaged") as caught:
        run(root)
    assert str(damaged) in str(caught.value)
    damaged.unlink()
    settings_changed("diversity", "weights", to={})(root)
    run(root)
    assert ledgers(root) == ledgers(finished)
