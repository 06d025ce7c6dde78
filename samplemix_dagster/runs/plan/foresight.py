"""What a run would refuse, found before anything is paid for: budgets, dials, broken files.

A budget is held against what the corpus can give at ``max_copies``: its tokens where they are
counted, and else its bytes, since no token is shorter than a byte. What cannot be known yet (dials
before the law is fitted, a packed corpus that was not read) is not refused here.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

from samplemix_dagster.config.mixtures import Mixture
from samplemix_dagster.core.mixture.shares import held_shares
from samplemix_dagster.core.mixture.strategies.table import strategy_of
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.stages import NotFittedError
from samplemix_dagster.errors import (
    ConfigError,
    InputError,
    LakeError,
    ModelError,
    TransientError,
)
from samplemix_dagster.runs.plan.given_groups import unknown_groups
from samplemix_dagster.runs.plan.planned import Plan
from samplemix_dagster.runs.standing.warned import Warned
from samplemix_dagster.stages.beta import BETA, load_law, load_plane
from samplemix_dagster.stages.exclusions.excluded import EXCLUDED
from samplemix_dagster.stages.exclusions.external import KEPT_OUT
from samplemix_dagster.stages.outside.external import (
    ExternalSignal,
    external_components,
    external_signals,
)
from samplemix_dagster.stages.outside.labels import LabelStage, label_stages
from samplemix_dagster.stages.quality.loss.other_references import other_losses
from samplemix_dagster.stages.quality.tokens import TOKENS
from samplemix_dagster.storage.models.checks import (
    check_encoder,
    check_reference,
    check_tokenizer,
    encoder_limit,
)

_PLAIN_TEXT = (".jsonl", ".ndjson", ".json", ".jsonlines", ".jl", ".csv", ".tsv", ".txt", ".md")
"""Endings of files whose texts are no longer than the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """The most tokens that the sources can give, each document once."""

    tokens: Mapping[str, int]
    words: str
    """How that is known, for a sentence."""


def refusals(recipes: Recipes, plan: Plan) -> dict[str, str]:
    """Return what of a plan cannot be made, with the reason, by asset; nothing is run.

    What is current is not looked at: it was made.
    """
    names = [task.step.name for task in plan.tasks if task.step.is_published]
    found = {f"mixture/{name}": words for name, words in _mixtures(recipes, names).items()}
    assets = {task.step.asset for task in plan.tasks}
    for asset, check in (_model_checks(recipes, assets) | _file_checks(recipes, assets)).items():
        try:
            check()
        except (ModelError, ConfigError, InputError) as error:
            found[asset] = str(error)
    return found


def refusal_of(recipes: Recipes, mixture: str) -> str:
    """Return why a mixture cannot be drawn under its settings; empty where nothing speaks against.

    Nothing is run.
    """
    return _mixtures(recipes, [mixture]).get(mixture, "")


def notes(recipes: Recipes, plan: Plan) -> list[Warned]:
    """Return what is to be done otherwise than asked for."""
    if not any(task.step.asset == "embeddings" for task in plan.tasks):
        return []
    wanted = recipes.config.encoder.max_tokens
    try:
        limit = encoder_limit(recipes.encoder_folder)
    except (ModelError, TransientError):
        return []
    if limit is None or limit >= wanted:
        return []
    words = f"max_tokens is {wanted}, and this encoder reads {limit} tokens: {limit} are read"
    return [Warned(kind="encoder", where="embeddings", words=words)]


def _model_checks(recipes: Recipes, assets: Collection[str]) -> dict[str, Callable[[], None]]:
    """Return what is to be looked at of models that the stale assets use, by asset."""
    config = recipes.config
    checks: dict[str, Callable[[], None]] = {}
    scored = {"perplexity": config.quality.reference}
    scored |= {stage.asset: name for name, stage in other_losses(config).items()}
    for asset, name in scored.items():
        if asset in assets and config.references[name].model is not None:
            checks[asset] = partial(_check_reference, recipes, name)
    if "token_counts" in assets and config.tokenizer.reference is None:
        checks["token_counts"] = lambda: check_tokenizer(recipes.tokenizer_folder)
    if "embeddings" in assets:
        checks["embeddings"] = lambda: check_encoder(recipes.encoder_folder)
    return checks


def _file_checks(recipes: Recipes, assets: Collection[str]) -> dict[str, Callable[[], None]]:
    """Return what is to be looked at of other tools' files that the stale assets join, by asset."""
    config, project = recipes.config, recipes.project
    joining: tuple[ExternalSignal | LabelStage, ...] = (
        *external_signals(config).values(),
        *external_components(config).values(),
        *label_stages(config),
    )
    checks: dict[str, Callable[[], None]] = {
        one.asset: partial(one.check, project) for one in joining if one.asset in assets
    }
    if EXCLUDED.asset in assets and KEPT_OUT.is_asked(project):
        checks[EXCLUDED.asset] = partial(KEPT_OUT.check, project)
    return checks


def _check_reference(recipes: Recipes, name: str) -> None:
    check_reference(recipes.reference_folder(name))


def _mixtures(recipes: Recipes, names: Iterable[str]) -> dict[str, str]:
    found = {}
    capacity: Capacity | None = None
    is_looked_up = False
    for name in names:
        settings = recipes.config.mixtures[name]
        if not is_looked_up:
            capacity, is_looked_up = _capacity(recipes), True
        sentence = (
            _options(recipes, settings)
            or unknown_groups(recipes, settings)
            or ("" if capacity is None else over_budget(settings, capacity))
        )
        if sentence:
            found[name] = sentence
    return found


def _options(recipes: Recipes, settings: Mixture) -> str:
    """Return what is wrong with the strategy's options under the fitted law; empty without one."""
    try:
        strategy = strategy_of(settings.strategy)
        strategy.check(load_plane(recipes), load_law(recipes), settings.options)
    except (NotFittedError, LakeError, InputError):
        return ""
    except ConfigError as error:
        return str(error)
    return ""


def over_budget(settings: Mixture, capacity: Capacity) -> str:
    """Return why a budget is more than there is; empty where it is not."""
    cap, budget = settings.max_copies, settings.budget_tokens
    total = sum(capacity.tokens.values())
    if total == 0:
        return "" if budget <= 0 else "the corpus has no token to draw"
    is_known = settings.is_by_source and settings.shares != "kept"
    if cap * total < budget and (settings.shares in ("free", "proportional") or not is_known):
        most = f"the nearest feasible budget is {cap * total:,} or less"
        if settings.shares not in ("free", "proportional"):
            most = (
                f"there are {cap * total:,}, and shares that are held leave less: the first source "
                "or group that has too little for its share bounds the whole"
            )
        return (
            f"a budget of {budget:,} tokens is more than there is: {capacity.words}; at max_copies "
            f"{cap} {most}"
        )
    if not settings.is_by_source:
        return ""  # what each group has is known when the mixture is drawn
    shares = held_shares(settings.shares, dict(capacity.tokens))
    # Proportional shares are met wherever the whole is; what gates leave is not known before.
    if shares is None or settings.shares in ("proportional", "kept"):
        return ""
    return _over_share(budget, cap, shares, capacity)


def _over_share(budget: int, cap: int, shares: Mapping[str, Fraction], capacity: Capacity) -> str:
    lacking = [
        f"{name} would draw {int(shares[name] * budget):,} of at most {cap * tokens:,}"
        for name, tokens in sorted(capacity.tokens.items())
        if shares[name] * budget >= cap * tokens + 1
    ]
    if not lacking:
        return ""
    nearest = min(
        int(cap * tokens / shares[name])
        for name, tokens in capacity.tokens.items()
        if shares[name] > 0
    )
    return (
        f"a budget of {budget:,} tokens at these shares is more than there is: "
        f"{'; '.join(lacking)} tokens at max_copies {cap} ({capacity.words}); the nearest feasible "
        f"budget is {nearest:,} or less"
    )


def _capacity(recipes: Recipes) -> Capacity | None:
    """Return the most tokens of each source: counted, or bounded by bytes; None if unknown."""
    try:
        return _by_planes(recipes) or _by_counts(recipes) or _by_bytes(recipes)
    except (InputError, LakeError):
        return None


def _by_planes(recipes: Recipes) -> Capacity | None:
    try:
        key = recipes.fit_key(BETA)
    except NotFittedError:
        return None
    there = recipes.lake.names(f"{key}/planes")
    tokens = {
        name: load_plane(recipes, name).num_tokens if f"{name}.safetensors" in there else 0
        for name in recipes.config.corpus.sources
    }
    return Capacity(tokens=tokens, words=f"the corpus has {sum(tokens.values()):,} tokens")


def _by_counts(recipes: Recipes) -> Capacity | None:
    import pyarrow.compute as pc

    tokens = dict.fromkeys(recipes.config.corpus.sources, 0)
    for shard in recipes.project.all_shards():
        try:
            key = recipes.feature_key(TOKENS, shard)
        except NotFittedError:
            return None
        if not recipes.lake.exists(key):
            return None
        column = recipes.lake.read_table(key, ["num_tokens"]).column("num_tokens")
        tokens[shard.source] += pc.sum(column).as_py() or 0
    return Capacity(tokens=tokens, words=f"the corpus has {sum(tokens.values()):,} tokens")


def _by_bytes(recipes: Recipes) -> Capacity | None:
    tokens = dict.fromkeys(recipes.config.corpus.sources, 0)
    for shard in recipes.project.all_shards():
        num_bytes = _text_bytes(recipes, shard)
        if num_bytes is None:
            return None
        tokens[shard.source] += num_bytes
    words = f"the corpus has {sum(tokens.values()):,} bytes of text, and a token is one at least"
    return Capacity(tokens=tokens, words=words)


def _text_bytes(recipes: Recipes, shard: PlacedShard) -> int | None:
    """Return the bytes of a shard's texts, or a number above it; None where neither is known."""
    import pyarrow.compute as pc

    key = recipes.feature_key(DOCUMENTS, shard)
    if recipes.lake.exists(key):
        column = recipes.lake.read_table(key, ["num_bytes"]).column("num_bytes")
        # A tokenizer may add a token of its own to each text.
        return (pc.sum(column).as_py() or 0) + len(column)
    if shard.shard.path.lower().endswith(_PLAIN_TEXT):
        return shard.shard.size
    return None
