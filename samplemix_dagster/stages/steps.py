"""Steps: what each asset runs, and on what it depends, made from the lines of the flow.

One place says it for everybody: Dagster's assets, the planner and the command line are made from
these steps. Their order, and which of them can go into one run, is found from what they need.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from samplemix_dagster.config.project import Config
from samplemix_dagster.engine.fitting.fits import run_fit
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.outcome import Outcome, Progress
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards.first_reading import run_raw_shards
from samplemix_dagster.engine.shards.maps import run_stage
from samplemix_dagster.engine.stages import WHOLE_CORPUS, Fit, FitStage, Stage
from samplemix_dagster.stages import flow
from samplemix_dagster.stages.beta import BETA
from samplemix_dagster.stages.export.token_ids import TOKEN_IDS
from samplemix_dagster.stages.mixture.drawn import MIXTURE
from samplemix_dagster.stages.mixture.version_files import export_asset, wanted_export
from samplemix_dagster.stages.order import in_order, phase_of
from samplemix_dagster.stages.scores import SCORES


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a step is told when it runs."""

    project: Project
    partition: str
    """Empty for a step that is not partitioned."""
    why: str
    run_id: str | None
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One asset: what it runs and on what it depends."""

    asset: str
    group: str
    deps: tuple[str, ...]
    run: Callable[[Call], Outcome]
    stages: tuple[Stage, ...] = ()
    """Per-shard stages that it fills; such a step is partitioned by source."""
    fit: FitStage | None = None
    name: str = ""
    """Which reference or mixture, where there are several."""
    export: str = ""
    """Which of a mixture's exports, where there are several."""
    code_version: str = "1"
    waits: tuple[str, ...] = WHOLE_CORPUS
    """Assets that are to be complete before it runs, though it may not read them."""
    phase: int = 0
    """Steps of one phase can go into one run; a later phase needs the earlier ones complete."""
    uses_model: bool = False
    words: str = ""
    """What a person reads of it, in a sentence."""

    @property
    def uses_device(self) -> bool:
        """Whether a model computes in it; a reference from elsewhere is only looked at."""
        return self.uses_model and bool(self.deps)

    @property
    def is_partitioned(self) -> bool:
        """Whether it runs by source."""
        return bool(self.stages)

    @property
    def is_published(self) -> bool:
        """Whether what it makes becomes current only when its checks hold."""
        return self.fit is not None and self.fit.is_published

    def is_given(self, config: Config) -> bool:
        """Whether it looks at what stands somewhere already, and needs no corpus."""
        return self.fit is not None and self.fit.is_given(config, self.name)


GROUPS = ("shards", "reference", "quality", "diversity", "beta", "mixture", "export", "report")
"""Stage words, in order; ``--select`` takes them."""


def select_steps(
    steps: Iterable[Step], groups: Iterable[str] | None, mixtures: Iterable[str] | None
) -> list[Step]:
    """Return the steps of some stages and mixtures, with everything that they depend on."""
    every = list(steps)
    wanted = {
        step.asset
        for step in every
        if (groups is None or step.group in set(groups))
        and (mixtures is None or step.group not in {"mixture", "export"} or step.name in mixtures)
    }
    for step in reversed(every):
        if step.asset in wanted:
            wanted |= set(step.deps)
    return [step for step in every if step.asset in wanted]


def build_steps(project: Project) -> list[Step]:
    """Return every step of a project, in an order that respects the dependencies."""
    filled: dict[str, list[Stage]] = {}
    steps: dict[str, Step] = {}
    for line in (*flow.FLOW, SCORES, BETA):
        for member, name in line.members(project):
            if isinstance(member, Stage):
                filled.setdefault(member.asset, []).append(member)
                steps[member.asset] = _of_stages(project, filled[member.asset])
            elif isinstance(member, Fit):
                steps[member.asset_of(name)] = _of_fit(project, member, name)
    for name in MIXTURE.names(project):
        exports = (_export(project, name, export) for export in project.config.exports_of(name))
        steps |= {step.asset: step for step in (_mixture(project, name), *exports)}
    return _in_phases(list(steps.values()))


def _in_phases(steps: list[Step]) -> list[Step]:
    """Return the steps in order, each with its phase."""
    phases: dict[str, int] = {}
    for step in in_order(steps):
        phases[step.asset] = phase_of(step, phases)
    by_asset = {step.asset: step for step in steps}
    return [replace(by_asset[asset], phase=phase) for asset, phase in phases.items()]


def _of_stages(project: Project, filled: Sequence[Stage]) -> Step:
    """The step of an asset: of its stage, or of all that join in the first reading of a shard."""
    first, *joining = sorted(filled, key=lambda stage: not stage.lists_documents)
    if joining and not first.lists_documents:
        names = " and ".join(stage.name for stage in filled)
        raise ValueError(f"{first.asset} cannot be the asset of {names}: no reading fills both")

    def run(call: Call) -> Outcome:
        if first.lists_documents:
            return run_raw_shards(
                call.project, call.partition, call.why, call.progress, joining=joining
            )
        return run_stage(call.project, first, call.partition, call.why, call.progress)

    return Step(
        asset=first.asset,
        group=first.group,
        deps=first.needs(project),
        waits=first.waits(),
        run=run,
        stages=(first, *joining),
        code_version="-".join(str(stage.version) for stage in filled),
        uses_model=first.uses_model,
        words=first.words,
    )


def _of_fit(project: Project, fit: Fit, name: str) -> Step:
    def run(call: Call) -> Outcome:
        return run_fit(call.project, fit, name, call.why, call.progress)

    return _whole(project, fit, name, run)


def _mixture(project: Project, name: str) -> Step:
    def run(call: Call) -> Outcome:
        from samplemix_dagster.stages.mixture.mixing import run_mixture

        return run_mixture(call.project, name, call.why, call.run_id, call.progress)

    return _whole(project, MIXTURE, name, run)


def _whole(project: Project, fit: FitStage, name: str, run: Callable[[Call], Outcome]) -> Step:
    """The step of a fit to the whole corpus."""
    return Step(
        asset=fit.asset_of(name),
        group=fit.group,
        deps=fit.needs(project, name),
        waits=fit.waits(),
        run=run,
        fit=fit,
        name=name,
        code_version=fit.code_version,
        uses_model=fit.uses_model,
        words=fit.words,
    )


def _export(project: Project, name: str, export: str) -> Step:
    asset = export_asset(name, export)
    has_ids = wanted_export(project, name, export).form.unit == "tokens"

    def run(call: Call) -> Outcome:
        from samplemix_dagster.stages.export.exporting import run_export

        return run_export(
            call.project, name, export, why=call.why, run_id=call.run_id, progress=call.progress
        )

    return Step(
        asset=asset,
        group="export",
        deps=(
            MIXTURE.asset_of(name),
            DOCUMENTS.asset,
            *((TOKEN_IDS.asset,) if has_ids else ()),
        ),
        run=run,
        name=name,
        export=export,
    )


def fit_asset(folder: str) -> str:
    """Return the asset of a fit, by its folder in the lake: ``reference-main``, ``topic_fit``.

    A fit that no line of today's flow makes keeps the name of its folder.
    """
    kind, _, name = folder.partition("-")
    for fit in (fit for line in (*flow.FLOW, BETA) for fit in line.kinds()):
        if fit.name == kind:
            return fit.asset_of(name)
    return folder
