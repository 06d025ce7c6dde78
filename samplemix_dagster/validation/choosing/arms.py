"""What is judged: a mixture's version, a choice from elsewhere, or a built-in arm."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samplemix_dagster.core.judging.draws import Groups, groups_by, shares_as_groups
from samplemix_dagster.core.junk.table import CLEAN
from samplemix_dagster.core.mixture.scale.activation import MAX_COPIES
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.errors import ConfigError, InputError
from samplemix_dagster.stages.mixture.drawing.axes import SHARE_GROUP
from samplemix_dagster.storage.corpus.manifest import ledger_file
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.tables import OUT
from samplemix_dagster.trace.versions import load_manifest, resolve_version
from samplemix_dagster.validation.choosing.choices import read_choice
from samplemix_dagster.validation.choosing.corpus import JudgedCorpus
from samplemix_dagster.validation.known.labels import CorpusLabels

Floats = npt.NDArray[np.float64]

PROPORTIONAL = "proportional"
"""Every document with the same weight: what every arm is compared with."""
_DEFAULT_CAP = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arm:
    """A way to choose documents.

    Attributes:
        name: What it is called.
        weights: Weight of each document; 0 is never drawn: (N,).
        max_copies: The most copies of one document.
        shares: Shares of sources, or of the groups below, that are held; empty where they are an
            outcome.
        group_of: The group of each document where shares are of other groups than sources, empty
            where it is not known: (N,).
        what: Where it comes from, as a JSON value.
        real_budget: Tokens of the mixture that it stands for; None where none is known.
        missing: Documents that it names and the corpus does not have.
    """

    name: str
    weights: Floats
    max_copies: int = _DEFAULT_CAP
    shares: Mapping[str, float] = field(default_factory=dict)
    group_of: npt.NDArray[np.object_] | None = None
    what: Mapping[str, str]
    real_budget: int | None = None
    missing: int = 0

    def groups(self, corpus: JudgedCorpus, budget: int) -> Groups | None:
        """Return what each source or group gets of a budget, where shares are held."""
        if not self.shares:
            return None
        column = corpus.sources if self.group_of is None else self.group_of.astype(np.str_)
        of_document = groups_by(column)
        names = np.unique(column)
        held = {number: self.shares.get(str(name), 0.0) for number, name in enumerate(names)}
        return shares_as_groups(of_document, held, budget)


def arm_of(
    recipes: Recipes, corpus: JudgedCorpus, words: str, labels: CorpusLabels | None = None
) -> Arm:
    """Return the arm that words name: ``NAME=`` before them calls it so.

    Args:
        recipes: Of the project.
        corpus: What arms draw from.
        words: ``proportional``, ``clean``, a mixture, ``mixture@version``, a version, or a file.
        labels: Labels of a dirty pool.

    Raises:
        ConfigError: There is no such arm.
        InputError: It has not been made, or names no document of the corpus.
    """
    name, place = _named(recipes, words)
    if place == PROPORTIONAL:
        ones = np.ones(corpus.pool.tokens.size)
        return Arm(name=name, weights=ones, what={"built_in": place})
    if place == CLEAN:
        return _clean(name, labels)
    if (recipes.project.root / place).is_file() or Path(place).is_file():
        return _chosen_elsewhere(recipes, corpus, name, place)
    return _version(recipes, corpus, name, place)


def _named(recipes: Recipes, words: str) -> tuple[str, str]:
    """Return what an arm is called and what it is; a file may have an equals sign in its name."""
    name, _, rest = words.partition("=")
    if not rest or (recipes.project.root / words).is_file() or Path(words).is_file():
        return words, words
    return name, rest


def _clean(name: str, labels: CorpusLabels | None) -> Arm:
    if labels is None:
        raise ConfigError(
            "the arm `clean` needs to know which documents are: --labels names the labels of a "
            "dirty pool, as `samplemix dirty` writes them."
        )
    if not labels.is_clean.any():
        raise ConfigError(
            f"the arm `clean`: no document of the corpus is labelled {CLEAN!r} in --labels."
        )
    return Arm(name=name, weights=labels.is_clean.astype(np.float64), what={"built_in": CLEAN})


def _version(recipes: Recipes, corpus: JudgedCorpus, name: str, words: str) -> Arm:
    project = recipes.project
    mixture, version = resolve_version(project, words)
    manifest = load_manifest(project, mixture, version)
    folder = keys.version_folder(mixture, version)
    weights = np.zeros(corpus.pool.tokens.size)
    settings = manifest["config"]
    group_of = _no_groups(corpus, settings)
    tokens: dict[str, int] = {}
    missing = 0
    for shard in manifest["shards"]:
        key = ledger_file(shard["source"], shard["digest"])
        columns = ["doc_id", "num_tokens", "weight", "copies", "reason"]
        columns += [] if group_of is None else [SHARE_GROUP]
        ledger = project.lake.read_table(f"{folder}/{key}", columns)
        ids = ledger.column("doc_id").to_numpy(zero_copy_only=False).astype("S32")
        reasons = ledger.column("reason").to_pylist()
        is_own = np.array([reason not in OUT for reason in reasons], dtype=bool)
        rows = corpus.rows_of(ids)
        weighed = ledger.column("weight").to_numpy()
        chosen = is_own & (rows >= 0)
        weights[rows[chosen]] = weighed[chosen]
        missing += int((is_own & (rows < 0) & (weighed > 0)).sum())
        if group_of is not None:
            named = ledger.column(SHARE_GROUP).to_numpy(zero_copy_only=False)
            group_of[rows[chosen]] = named[chosen]
        for group, drawn in _drawn_tokens(ledger, shard["source"]):
            tokens[group] = tokens.get(group, 0) + drawn
    _refuse_nothing(name, weights)
    is_held = settings.get("shares", "free") != "free"
    whole = sum(tokens.values())
    return Arm(
        name=name,
        weights=weights,
        max_copies=int(settings["max_copies"]),
        shares={source: found / whole for source, found in tokens.items()} if is_held else {},
        group_of=group_of,
        what={"mixture": mixture, "version": version},
        real_budget=int(settings["budget_tokens"]),
        missing=missing,
    )


def _no_groups(
    corpus: JudgedCorpus, settings: Mapping[str, object]
) -> npt.NDArray[np.object_] | None:
    """Return room for the group of each document; None where shares are of sources."""
    if "shares_by" not in settings:
        return None
    return np.full(corpus.pool.tokens.size, "", dtype=object)


def _drawn_tokens(ledger: pa.Table, source: str) -> Iterator[tuple[str, int]]:
    """Yield the groups of a ledger with the tokens that were drawn of each; else the source."""
    drawn = ledger.column("copies").to_numpy() * ledger.column("num_tokens").to_numpy()
    if SHARE_GROUP not in ledger.column_names:
        yield source, int(drawn.sum())
        return
    names, codes = np.unique(
        ledger.column(SHARE_GROUP).to_numpy(zero_copy_only=False).astype(np.str_),
        return_inverse=True,
    )
    for number, name in enumerate(names.tolist()):
        yield name, int(drawn[codes == number].sum())


def _chosen_elsewhere(recipes: Recipes, corpus: JudgedCorpus, name: str, place: str) -> Arm:
    inside = recipes.project.root / place
    file = inside if inside.is_file() else Path(place)
    choice = read_choice(file)
    rows = choice.rows(recipes, corpus)
    weights = np.zeros(corpus.pool.tokens.size)
    there = rows >= 0
    np.add.at(weights, rows[there], choice.weights[there])
    _refuse_nothing(name, weights)
    own = Path(place).stem if name == place else name
    return Arm(
        name=own,
        weights=weights,
        max_copies=min(max(choice.max_copies, _DEFAULT_CAP), MAX_COPIES),
        what={"file": file.name, "digest": choice.digest},
        missing=int((~there).sum()),
    )


def _refuse_nothing(name: str, weights: Floats) -> None:
    if not (weights > 0).any():
        raise InputError(
            f"arm {name!r}: none of its documents is in the corpus as it is now, or all of them "
            "are excluded."
        )
