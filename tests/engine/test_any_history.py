"""A corpus that came about in many steps is the corpus as it stands: same ledger, byte for byte.

With ``refit: always`` nothing remembers how the corpus came about. A state machine adds, removes,
rewrites and renames shards, replaces the reference and puts it back; before each run the plan is
written down, and the run must do just that.
"""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.engine.changes import settings_changed
from tests.engine.runs import Counts, ledgers, run
from tests.projects import (
    copy_project,
    finished_project,
    needs_encoder,
    prose,
    reference_folder,
    shard_rows,
    write_shard,
)

NAMES = st.integers(0, 5)
always = settings_changed("diversity", "refit", to="always")


class History(RuleBasedStateMachine):
    """A project to which anything happens."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="samplemix-history-"))
        self.root = copy_project(finished_project(), self.folder / "project")
        always(self.root)
        self.runs = 0
        self._run()

    @property
    def news(self) -> list[Path]:
        return sorted((self.root / "data/news").iterdir())

    @rule(number=st.integers(2, 4), count=st.integers(1, 12))
    def add(self, number: int, count: int) -> None:
        write_shard(self.root, "news", number, shard_rows("news", number, count))
        self._run()

    @precondition(lambda self: len(self.news) > 1)
    @rule(which=NAMES)
    def remove(self, which: int) -> None:
        self.news[which % len(self.news)].unlink()
        self._run()

    @rule(row=st.integers(0, 19), text=st.integers(0, 2))
    def rewrite(self, row: int, text: int) -> None:
        rows = shard_rows("web", 1)
        rows[row]["text"] = prose(f"rewritten-{text}")
        write_shard(self.root, "web", 1, rows)
        self._run()

    @rule(which=NAMES, name=st.sampled_from("abc"))
    def rename(self, which: int, name: str) -> None:
        path = self.news[which % len(self.news)]
        path.rename(path.with_name(f"{name}.jsonl"))
        self._run()

    @rule(name=st.sampled_from(["reference", "second"]))
    def change_reference(self, name: str) -> None:
        settings_changed("references", "main", "model", to=str(reference_folder(name)))(self.root)
        self._run()

    @rule()
    def nothing(self) -> None:
        assert self._run() == []

    def _run(self) -> Counts:
        done = run(self.root)
        assert done.planned == done.done
        self.runs += 1
        return done.done

    def teardown(self) -> None:
        if not hasattr(self, "root"):
            return
        fresh = self.folder / "fresh"
        shutil.copytree(self.root, fresh, ignore=shutil.ignore_patterns(".samplemix"))
        run(fresh)
        try:
            assert ledgers(fresh) == ledgers(self.root)
        finally:
            shutil.rmtree(self.folder)


def _play(examples: int, steps: int) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        History,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@needs_encoder
def test_a_corpus_built_in_ten_steps_is_one_built_at_once() -> None:
    _play(examples=3, steps=10)


@needs_encoder
@pytest.mark.slow
def test_a_corpus_built_in_any_ten_steps_is_one_built_at_once() -> None:
    _play(examples=25, steps=10)
