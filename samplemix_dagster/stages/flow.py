"""The flow as a list of steps: what each asset runs, and on what it depends.

One place says it for everybody: Dagster's assets, the planner and the command line are made from
these steps. Their order, and which of them can go into one run, is found from what they need.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from samplemix_dagster.config.project import Config
from samplemix_dagster.engine import stages
from samplemix_dagster.engine.addresses.own_signals import OwnSignal, own_signals
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.fitting.fits import make_corpus, run_fit
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards.first_reading import run_raw_shards
from samplemix_dagster.engine.shards.maps import (
    Outcome,
    Progress,
    missing_shards,
    run_table_stage,
    run_text_stage,
)
from samplemix_dagster.engine.shards.tasks import CountTokens, Embed, Losses, Metric, Task
from samplemix_dagster.engine.stages import FitStage, Stage
from samplemix_dagster.stages.order import in_order, phase_of

_WHOLE = (stages.CORPUS.asset,)


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
    code_version: str = "1"
    waits: tuple[str, ...] = _WHOLE
    """Assets that are to be complete before it runs, though it may not read them: nothing is
    computed of a corpus that is not known whole."""
    phase: int = 0
    """Steps of one phase can go into one run; a later phase needs the earlier ones complete."""
    uses_model: bool = field(default=False)

    @property
    def uses_device(self) -> bool:
        """Whether a model computes in it; a reference from elsewhere is only looked at."""
        return self.uses_model and bool(self.deps)

    @property
    def is_partitioned(self) -> bool:
        """Whether it runs by source."""
        return bool(self.stages)


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
    config = project.config
    scoring = f"reference_model/{config.quality.reference}"
    read = _map("raw_shards", (), _raw_shards, stages.DOCUMENTS, stages.GRAMS, stages.WORDS)
    corpus = _fit(stages.CORPUS, ("raw_shards",), make=make_corpus)
    steps = [replace(read, waits=()), replace(corpus, waits=())]
    steps += [_reference(name, config) for name in config.references]
    counting = config.tokenizer.reference
    steps += [
        _map("perplexity", ("raw_shards", scoring), _perplexity, stages.PERPLEXITY),
        _map(
            "token_counts",
            ("raw_shards", "perplexity", *([f"reference_model/{counting}"] if counting else [])),
            _token_counts,
            stages.TOKENS,
        ),
        _map("embeddings", ("raw_shards",), _embeddings, stages.EMBEDDINGS),
        _fit(stages.CALIBRATION, ("perplexity",), module="calibration"),
        _fit(stages.CLUSTER_FIT, ("corpus", "embeddings", "raw_shards"), module="clusters"),
        _fit(stages.NGRAM_INDEX, ("raw_shards", "corpus"), module="ngram_index"),
        _fit(stages.TOPIC_FIT, ("corpus", "raw_shards", "ngram_index"), module="topics"),
        _table("cluster_diversity", ("embeddings", "clusters"), stages.CLUSTERS),
        _table("ngram_ownership", ("raw_shards", "ngram_index"), stages.OWNERSHIP),
        _table("topic_distribution", ("raw_shards", "topics"), stages.TOPICS),
    ]
    components = ["cluster_diversity", "ngram_ownership", "topic_distribution"]
    signals: list[str] = []
    for own in own_signals(config):
        own_steps = _own(own, project.root)
        (signals if own.coordinate == "quality" else components).append(own_steps[-1].asset)
        steps += own_steps
    steps += _quality(signals)
    steps += [
        _fit(stages.DIVERSITY_CALIBRATION, tuple(components), module="diversity_calibration"),
        _table("diversity_scores", (*components, "diversity_calibration"), stages.DIVERSITY),
        _table(
            "document_scores",
            ("quality_scores", "diversity_scores", "token_counts"),
            stages.SCORES,
        ),
        _fit(stages.BETA, ("document_scores", "corpus"), module="beta"),
    ]
    for name in config.mixtures:
        steps += [_mixture(name), _export(name)]
    return _in_phases(steps)


def _in_phases(steps: list[Step]) -> list[Step]:
    """Return the steps in order, each with its phase."""
    phases: dict[str, int] = {}
    for step in in_order(steps):
        phases[step.asset] = phase_of(step, phases)
    by_asset = {step.asset: step for step in steps}
    return [replace(by_asset[asset], phase=phase) for asset, phase in phases.items()]


def _map(asset: str, deps: tuple[str, ...], run: Callable[[Call], Outcome], *filled: Stage) -> Step:
    return Step(
        asset=asset,
        group=filled[0].group,
        deps=deps,
        run=run,
        stages=filled,
        code_version="-".join(str(stage.version) for stage in filled),
        uses_model=asset in {"perplexity", "embeddings"},
    )


def _raw_shards(call: Call) -> Outcome:
    return run_raw_shards(call.project, call.partition, call.why, call.progress)


def _text(call: Call, stage: Stage, task: Task) -> Outcome:
    return run_text_stage(call.project, stage, task, call.partition, call.why, call.progress)


def _perplexity(call: Call) -> Outcome:
    recipes = Recipes(call.project)
    quality = call.project.config.quality
    task = Losses(
        folder=str(recipes.reference_folder(quality.reference)),
        digest=recipes.reference_digest(quality.reference),
        device=recipes.device,
        dtype=recipes.dtype,
        context_tokens=recipes.context_tokens,
        overlap_tokens=quality.overlap_tokens,
    )
    return _text(call, stages.PERPLEXITY, task)


def _token_counts(call: Call) -> Outcome:
    from samplemix_dagster.stages.scoring import tokens_from_perplexity

    recipes = Recipes(call.project)
    is_scored = not missing_shards(recipes, stages.PERPLEXITY, call.partition)
    if is_scored and recipes.counts_with_reference:
        make = tokens_from_perplexity(recipes)
        return run_table_stage(
            call.project, stages.TOKENS, make, call.partition, call.why, call.progress
        )
    task = CountTokens(tokenizer=str(recipes.tokenizer_folder), digest=recipes.tokenizer_digest)
    return _text(call, stages.TOKENS, task)


def _embeddings(call: Call) -> Outcome:
    recipes = Recipes(call.project)
    task = Embed(
        folder=str(recipes.encoder_folder),
        digest=recipes.encoder_digest,
        device=recipes.device,
        dtype=recipes.dtype,
        max_tokens=call.project.config.encoder.max_tokens,
    )
    return _text(call, stages.EMBEDDINGS, task)


def _table(asset: str, deps: tuple[str, ...], stage: Stage) -> Step:
    def run(call: Call) -> Outcome:
        from samplemix_dagster.stages import scoring

        makers = {
            stages.QUALITY: scoring.quality_maker,
            stages.CLUSTERS: scoring.clusters_maker,
            stages.OWNERSHIP: scoring.ownership_maker,
            stages.TOPICS: scoring.topics_maker,
            stages.DIVERSITY: scoring.diversity_maker,
            stages.SCORES: scoring.scores_maker,
        }
        make = scoring.lazily(makers[stage], Recipes(call.project))
        return run_table_stage(call.project, stage, make, call.partition, call.why, call.progress)

    return _map(asset, deps, run, stage)


def _own(own: OwnSignal, root: Path) -> list[Step]:
    """The steps of a signal that a class computes: its scores, after its fit where it has one."""
    from samplemix_dagster.engine.addresses.metrics import metric_identity, metric_is_fitted

    stage, target = own.stage, own.target
    reads_embeddings = metric_identity(target, root)["needs"] == "embedding"
    is_fitted = metric_is_fitted(target, root)
    deps: tuple[str, ...] = ("embeddings",) if reads_embeddings else ("raw_shards",)

    def run(call: Call) -> Outcome:
        from samplemix_dagster.stages import scoring

        recipes = Recipes(call.project)
        if reads_embeddings:
            make = scoring.lazily(lambda r: scoring.embedding_metric_maker(r, own), recipes)
            return run_table_stage(
                call.project, stage, make, call.partition, call.why, call.progress
            )
        fit = None
        if is_fitted:
            key = f"{recipes.fit_key(own.fit, own.name)}/fit.safetensors"
            fit = str(call.project.lake.path(key))
        return _text(call, stage, Metric(target=target, table=stage.table, root=str(root), fit=fit))

    def run_own_fit(call: Call) -> Outcome:
        from samplemix_dagster.stages.diversity_fits import own_fit_maker

        return run_fit(call.project, own.fit, own.name, call.why, own_fit_maker(own))

    steps = []
    if is_fitted:
        asset = f"{own.fit.asset}/{own.name}"
        steps.append(
            Step(
                asset=asset,
                group=own.coordinate,
                deps=deps,
                run=run_own_fit,
                fit=own.fit,
                name=own.name,
            )
        )
        deps = (*deps, asset)
    # What a person wrote runs beside the tables that come last: it holds up no model if it fails.
    return [*steps, replace(_map(stage.asset, deps, run, stage), waits=("calibration",))]


def _quality(signals: list[str]) -> list[Step]:
    """The steps of quality: perplexity's own, or all signals', calibrated once more."""
    if not signals:
        return [_table("quality_scores", ("perplexity", "calibration"), stages.QUALITY)]
    deps = ("perplexity", "calibration", *signals)
    return [
        _fit(stages.QUALITY_CALIBRATION, deps, module="quality_calibration"),
        _table("quality_scores", (*deps, "quality_calibration"), stages.QUALITY),
    ]


def _fit(
    fit: FitStage,
    deps: tuple[str, ...],
    *,
    make: Callable[..., dict[str, object]] | None = None,
    module: str = "",
) -> Step:
    def run(call: Call) -> Outcome:
        maker = make or _maker(module)
        return run_fit(call.project, fit, "", call.why, maker)

    return Step(
        asset=fit.asset,
        group=fit.group,
        deps=deps,
        run=run,
        fit=fit,
        code_version=str(fit.version),
    )


def _maker(module: str) -> Callable[..., dict[str, object]]:
    from samplemix_dagster.stages import beta, diversity_fits

    owner = beta if module == "beta" else diversity_fits
    return getattr(owner, f"make_{module}")  # type: ignore[no-any-return]


def _reference(name: str, config: Config) -> Step:
    is_trained = config.references[name].bootstrap is not None
    asset = f"reference_model/{name}"

    def run(call: Call) -> Outcome:
        from samplemix_dagster.stages.reference import reference_maker

        def report(done: int, total: int) -> None:
            call.progress(asset, "", done, total)

        maker = reference_maker(name, report)
        return run_fit(call.project, stages.REFERENCE, name, call.why, maker)

    return Step(
        asset=asset,
        group="reference",
        deps=("raw_shards", "corpus") if is_trained else (),
        waits=(),
        run=run,
        fit=stages.REFERENCE,
        name=name,
        code_version=str(stages.REFERENCE.version),
        uses_model=True,
    )


def _mixture(name: str) -> Step:
    def run(call: Call) -> Outcome:
        from samplemix_dagster.stages.mixture.mixing import run_mixture

        return run_mixture(call.project, name, call.why, call.run_id, call.progress)

    return Step(
        asset=f"mixture/{name}",
        group="mixture",
        deps=("beta_parameters", "document_scores", "corpus"),
        run=run,
        fit=stages.MIXTURE,
        name=name,
        # The oldest, since versions that were drawn by it stay current.
        code_version=str(min(stages.OLDER_DRAWS)),
    )


def _export(name: str) -> Step:
    def run(call: Call) -> Outcome:
        from samplemix_dagster.stages.export.exporting import run_export

        return run_export(call.project, name, call.why, call.run_id, call.progress)

    return Step(
        asset=f"export/{name}",
        group="export",
        deps=(f"mixture/{name}", "raw_shards"),
        run=run,
        name=name,
    )
