"""What is stale, and why: every step's addresses compared with what stands in the lake.

Nothing is run and nothing is written here. A step downstream of a fit that is to be made cannot
know its address yet; it is then planned for every shard, which is what will happen unless the fit
comes out the same. Reasons are found by comparing recipes with those of the last run.
"""

from collections.abc import Iterable
from functools import cached_property

from samplemix_dagster.config.scoring.diversity import Refit
from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.engine.addresses.reasons import last_recipe, recipe_change
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.foundation.corpus import CORPUS
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards.carrying import differs_in_reading
from samplemix_dagster.engine.shards.missing import missing_shards
from samplemix_dagster.engine.stages import NotFittedError, Stage
from samplemix_dagster.errors import InputError
from samplemix_dagster.runs.plan.cost.document_counts import DocumentCounts
from samplemix_dagster.runs.plan.planned import ON_REQUEST, Plan, Task
from samplemix_dagster.runs.plan.whole_reasons import FIRST_RUN, WholeReasons
from samplemix_dagster.stages.stepping.step import Step
from samplemix_dagster.stages.stepping.steps import build_steps
from samplemix_dagster.storage.corpus.manifest import read_manifest, source_of
from samplemix_dagster.storage.lake import keys


class Planner:
    """Compares addresses with the lake, step by step."""

    def __init__(
        self, project: Project, steps: list[Step] | None = None, *, counts: bool = True
    ) -> None:
        """Take a project as it is.

        Args:
            project: The project.
            steps: Its steps, where they are known already.
            counts: Whether to count documents, for which text of new shards is read.
        """
        self.project = project
        self.counts = counts
        self.recipes = Recipes(project)
        self.steps = steps if steps is not None else build_steps(project)
        self._documents = DocumentCounts(self.recipes)
        self._reasons = WholeReasons(self.recipes)

    @cached_property
    def problems(self) -> dict[str, str]:
        """Partitions whose shards cannot be listed, with the reason."""
        found = {}
        for partition in self.project.partitions:
            try:
                self.project.scan(partition)
            except InputError as error:
                found[partition] = str(error)
        return found

    def plan(self, wanted: Iterable[str] | None = None) -> Plan:
        """Return what is to run.

        Args:
            wanted: Assets to look at; all of them when absent.
        """
        with self.project.lake.snapshot():
            return self._plan(wanted)

    def _plan(self, wanted: Iterable[str] | None) -> Plan:
        chosen = {step.asset for step in self.steps} if wanted is None else set(wanted)
        # An export is stale when its mixture is, so that is looked at too.
        exported = {s.name for s in self.steps if s.group == "export" and s.asset in chosen}
        looked_at = chosen | {f"mixture/{name}" for name in exported}
        steps = [step for step in self.steps if step.asset in looked_at]
        if any(step.phase > 1 and step.asset in chosen for step in steps):
            self._look_ahead()
        tasks: list[Task] = []
        stale: set[str] = set()
        for step in steps:
            found = self._tasks(step, stale)
            if found:
                stale.add(step.asset)
            if step.asset in chosen:
                tasks += found
        return Plan(tasks=tuple(tasks), problems=self.problems)

    def _look_ahead(self) -> None:
        """Take the sample that the corpus will have, so that a refit by drift is foreseen."""
        if self.problems or not isinstance(self.project.config.diversity.refit, Refit):
            return
        try:
            self.recipes.fit(CORPUS)
        except NotFittedError:
            if any(self._has_drifting_fit(step) for step in self.steps):
                ids = [
                    identity
                    for s in self.project.all_shards()
                    for identity in self._documents.ids(s)
                ]
                self.recipes.expect_sample(ids)

    def _has_drifting_fit(self, step: Step) -> bool:
        """Whether a fit is in use that would be made again if the corpus had drifted."""
        fit = step.fit
        return (
            fit is not None
            and fit.is_frozen
            and fit.by_drift
            and bool(self.recipes.current_fit(fit, step.name))
        )

    def _tasks(self, step: Step, stale: set[str]) -> list[Task]:
        if step.is_partitioned:
            good = [name for name in self.project.partitions if name not in self.problems]
            found = [self._partition_task(step, name) for name in good]
            return [task for task in found if task is not None]
        if self.problems and not step.is_given(self.project.config):
            return []  # nothing is fitted to a corpus that cannot be listed whole
        why = self._reasons.of(step, stale)
        if why is None:
            return []
        return [_corpus_task(step, why)]

    def task(self, step: Step, partition: str) -> Task:
        """Return what a step would do now; a current one runs because somebody asked."""
        found = None
        if step.is_partitioned:
            found = self._partition_task(step, partition)
        elif why := self._reasons.of(step, set()):
            found = _corpus_task(step, why)
        return found or _corpus_task(step, ON_REQUEST, partition)

    # -- per-shard steps --------------------------------------------------------------------------

    def _partition_task(self, step: Step, partition: str) -> Task | None:
        pending, reasons = self._pending(step, partition)
        if not reasons:
            return None
        counted = pending.values() if self.counts else ()
        num_documents = sum(self._documents.to_compute(step.stages[0], shard) for shard in counted)
        return Task(
            step=step,
            partition=partition,
            num_shards=len(pending),
            num_documents=num_documents,
            num_bytes=sum(shard.shard.size for shard in pending.values()),
            why="; ".join(dict.fromkeys(reasons)),
        )

    def _pending(self, step: Step, partition: str) -> tuple[dict[str, PlacedShard], list[str]]:
        pending: dict[str, PlacedShard] = {}
        reasons: list[str] = []
        for stage in step.stages:
            try:
                missing = missing_shards(self.recipes, stage, partition)
            except NotFittedError as error:
                missing = self.project.shards(partition)
                if missing:
                    reasons.append(f"after {error.asset}")
            else:
                if missing:
                    reasons.append(self._reason(stage, partition, missing))
            pending.update({shard.digest: shard for shard in missing})
        if step.stages[0].lists_documents and not pending and (why := self._list_reason(partition)):
            reasons.append(why)
        lost = [s for s in step.stages if not reasons and self._has_lost_state(s, partition)]
        if lost:
            reasons.append(f"what it noted of {', '.join(s.name for s in lost)} is gone")
        return pending, reasons

    def _list_reason(self, partition: str) -> str:
        """Say why a partition's list of shards is to be written; empty when it is current."""
        known = read_manifest(self.project.lake, partition)
        if known is None:
            return "its list of shards is gone"
        is_same = known.to_json() == self.project.scan(partition).to_json()
        return "" if is_same else "a shard was renamed, moved or removed"

    def _has_lost_state(self, stage: Stage, partition: str) -> bool:
        """Whether tables are there, and not the note by which views find them."""
        file = f"{source_of(partition)}.json"
        is_noted = file in self.project.lake.names(keys.notes_folder(stage.name))
        return bool(self.project.shards(partition)) and not is_noted

    def _reason(self, stage: Stage, partition: str, missing: list[PlacedShard]) -> str:
        known = read_manifest(self.project.lake, partition)
        last = last_recipe(self.project, stage, missing[0].source)
        if known is None or last is None:
            return FIRST_RUN
        recipe = self.recipes.recipe(stage, missing[0].source)
        if fingerprint(recipe) != fingerprint(last):
            return self._mended_words(last, recipe, missing[0].source) or recipe_change(
                last, recipe
            )
        # Later stages look after the first reading has noted the shard, so it is no news to them.
        is_first = stage.asset == DOCUMENTS.asset
        before = {shard.digest for shard in known.shards} if is_first else set()
        changed = sum(1 for shard in missing if shard.shard.previous is not None)
        new = sum(1 for s in missing if s.shard.previous is None and s.digest not in before)
        rest = len(missing) - changed - new
        parts = [
            _count(new, "new shard"),
            _count(changed, "changed shard"),
            _count(rest, "shard", "whose table is gone"),
        ]
        return ", ".join(part for part in parts if part)

    def _mended_words(self, last: dict[str, object], recipe: dict[str, object], source: str) -> str:
        """Say that a source is read by other readers than before, where that is the difference."""
        text = fingerprint(self.project.rules(source).text_recipe())
        if not differs_in_reading(last, recipe) or last["text"] != text:
            return ""
        return f"read anew by mended readers: {', '.join(self.project.readers(source))}"


def _corpus_task(step: Step, why: str, partition: str = "") -> Task:
    return Task(step=step, partition=partition, num_shards=0, num_documents=0, num_bytes=0, why=why)


def _count(number: int, noun: str, rest: str = "") -> str:
    if number == 0:
        return ""
    return f"{number} {noun}{'s' if number > 1 else ''} {rest}".strip()
