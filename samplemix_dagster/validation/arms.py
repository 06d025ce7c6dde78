"""What is judged: a mixture's version, a choice from elsewhere, or a built-in arm."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.judging.draws import Groups, groups_by, shares_as_groups
from samplemix_dagster.core.junk.table import CLEAN
from samplemix_dagster.core.mixture.activation import MAX_COPIES
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.errors import ConfigError, InputError
from samplemix_dagster.storage.corpus.manifest import ledger_file
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.tables import OUT
from samplemix_dagster.trace.versions import load_manifest, resolve_version
from samplemix_dagster.validation.choices import read_choice
from samplemix_dagster.validation.corpus import JudgedCorpus
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
        shares: Shares of sources that are held; empty where they are an outcome.
        what: Where it comes from, as a JSON value.
        real_budget: Tokens of the mixture that it stands for; None where none is known.
        missing: Documents that it names and the corpus does not have.
    """

    name: str
    weights: Floats
    max_copies: int = _DEFAULT_CAP
    shares: Mapping[str, float] = field(default_factory=dict)
    what: Mapping[str, str]
    real_budget: int | None = None
    missing: int = 0

    def groups(self, corpus: JudgedCorpus, budget: int) -> Groups | None:
        """Return what each source gets of a budget, where shares are held."""
        if not self.shares:
            return None
        of_document = groups_by(corpus.sources)
        names = np.unique(corpus.sources)
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
    name, _, rest = words.partition("=")
    place = rest or words
    if place == PROPORTIONAL:
        ones = np.ones(corpus.pool.tokens.size)
        return Arm(name=name, weights=ones, what={"built_in": place})
    if place == CLEAN:
        return _clean(name, labels)
    if (recipes.project.root / place).is_file() or Path(place).is_file():
        return _chosen_elsewhere(recipes, corpus, name, place)
    return _version(recipes, corpus, name, place)


def _clean(name: str, labels: CorpusLabels | None) -> Arm:
    if labels is None:
        raise ConfigError(
            "the arm `clean` needs to know which documents are: --labels names the labels of a "
            "dirty pool, as `samplemix dirty` writes them."
        )
    return Arm(name=name, weights=labels.is_clean.astype(np.float64), what={"built_in": CLEAN})


def _version(recipes: Recipes, corpus: JudgedCorpus, name: str, words: str) -> Arm:
    project = recipes.project
    mixture, version = resolve_version(project, words)
    manifest = load_manifest(project, mixture, version)
    folder = keys.version_folder(mixture, version)
    weights = np.zeros(corpus.pool.tokens.size)
    tokens: dict[str, int] = {}
    missing = 0
    for shard in manifest["shards"]:
        key = ledger_file(shard["source"], shard["digest"])
        columns = ["doc_id", "num_tokens", "weight", "copies", "reason"]
        ledger = project.lake.read_table(f"{folder}/{key}", columns)
        ids = ledger.column("doc_id").to_numpy(zero_copy_only=False).astype("S32")
        reasons = ledger.column("reason").to_pylist()
        is_own = np.array([reason not in OUT for reason in reasons], dtype=bool)
        rows = corpus.rows_of(ids)
        weighed = ledger.column("weight").to_numpy()
        chosen = is_own & (rows >= 0)
        weights[rows[chosen]] = weighed[chosen]
        missing += int((is_own & (rows < 0) & (weighed > 0)).sum())
        drawn = int(
            (ledger.column("copies").to_numpy() * ledger.column("num_tokens").to_numpy()).sum()
        )
        tokens[shard["source"]] = tokens.get(shard["source"], 0) + drawn
    _refuse_nothing(name, weights)
    settings = manifest["config"]
    is_held = settings.get("shares", "free") != "free"
    whole = sum(tokens.values())
    return Arm(
        name=name,
        weights=weights,
        max_copies=int(settings["max_copies"]),
        shares={source: found / whole for source, found in tokens.items()} if is_held else {},
        what={"mixture": mixture, "version": version},
        real_budget=int(settings["budget_tokens"]),
        missing=missing,
    )


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
        raise InputError(f"arm {name!r}: none of its documents is in the corpus as it is now.")
