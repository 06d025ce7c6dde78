"""Score a few documents of a version again from their raw text, with its very models.

A hash sample of the ledger decides which. Scores are compared with those that are stored; what is
gone (a shard, a model) is said.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from samplemix_dagster.config.project import Config
from samplemix_dagster.core.hashing import doc_id, id_words, uniforms
from samplemix_dagster.engine.addresses.model_recipes import ModelRecipes
from samplemix_dagster.engine.addresses.recipe_graph import OTHER
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.places.shard_places import shard_places
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards.shard_rows import is_read_otherwise, rules_as_read
from samplemix_dagster.engine.stages import FitStage, NotFittedError, Stage, Task
from samplemix_dagster.errors import InputError, LakeError, ModelError
from samplemix_dagster.stages.flow import flow_stages
from samplemix_dagster.stages.of_model import ModelStage
from samplemix_dagster.storage.corpus.manifest import ledger_file
from samplemix_dagster.storage.corpus.places.hive import named_digest
from samplemix_dagster.storage.corpus.shards import Document, read_shard
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.overlay import OverlayLake
from samplemix_dagster.storage.lake.whole_files import digest_file
from samplemix_dagster.trace.remade.pinned import PinnedRecipes, pinned
from samplemix_dagster.trace.remade.states import state_of

TOLERANCE = {"float32": 1e-4}
"""Largest relative difference that is taken for the last digits of a number format."""
_COARSE = 2e-2


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundModel:
    """A model of a version, as it is found today."""

    folder: Path | None
    digest: str
    problem: str = ""
    """Why it cannot be used; empty when it is the version's own."""


class _VersionModels(ModelRecipes):
    """Where the models of a version are to be found."""

    def __init__(self, project: Project, manifest: Mapping[str, Any], lake: OverlayLake) -> None:
        config = Config.recorded(manifest["project"])
        own = Project(config, project.root, project.config_path)
        own.lake = lake
        own.files = project.files
        super().__init__(own)
        self.fits = manifest["fits"]
        self.manifest_dtype = str(manifest["machine"]["dtype"])

    @property
    def dtype(self) -> str:
        return self.manifest_dtype

    def fit(self, fit: FitStage, name: str = "") -> str:
        return str(self.fits[fit.folder(name)])


def found_models(
    project: Project, manifest: Mapping[str, Any], lake: OverlayLake
) -> dict[str, FoundModel]:
    """Return references, encoder and tokenizer as they are found today, by kind."""
    models = _VersionModels(project, manifest, lake)
    reference = models.config.quality.reference
    looks: dict[str, Callable[[], tuple[Path, str]]] = {
        "reference": partial(_look, models, reference),
        "encoder": lambda: (models.encoder_folder, models.encoder_digest),
        "tokenizer": lambda: (models.tokenizer_folder, models.tokenizer_digest),
    }
    for other in models.config.quality.other_references:
        looks[f"{OTHER}{other}"] = partial(_look, models, other)
    found = {}
    for kind, look in looks.items():
        wanted = manifest["models"][kind]["digest"]
        where = manifest["models"][kind]["found"]
        try:
            folder, digest = look()
        except (ModelError, NotFittedError, LakeError, InputError, OSError) as error:
            problem = f"the {kind} {where} cannot be found: {error}"
            found[kind] = FoundModel(folder=None, digest=wanted, problem=problem)
            continue
        problem = ""
        if digest != wanted:
            problem = f"the {kind} at {where} is {digest[:12]} today, and was {wanted[:12]}"
        found[kind] = FoundModel(folder=folder, digest=digest, problem=problem)
    return found


def _look(models: ModelRecipes, reference: str) -> tuple[Path, str]:
    return models.reference_folder(reference), models.reference_digest(reference)


def rescore(
    project: Project, manifest: Mapping[str, Any], lake: OverlayLake, count: int
) -> list[dict[str, Any]]:
    """Return findings about ``count`` documents: their texts, and what models make of them."""
    recipes = pinned(project, state_of(manifest), lake)
    found = _texts(project, recipes, manifest, _sample(lake, manifest, count))
    texts = found.texts
    findings = [_text_finding(found)]
    if not texts:
        return findings
    for stage, task in _tasks(project, manifest, lake).items():
        if isinstance(task, str):
            findings.append({"check": f"deep_{stage.name}", "state": "not_checked", "words": task})
        else:
            findings.append(_compare(recipes, stage, task, texts, manifest["machine"]["dtype"]))
    return findings


Place = tuple[str, str, int]
"""Source, shard digest, row."""


def _sample(lake: OverlayLake, manifest: Mapping[str, Any], count: int) -> dict[Place, str]:
    """Return the documents with the smallest hashes, by where they stand."""
    folder = keys.version_folder(manifest["name"], manifest["version"])
    chosen: list[tuple[float, Place, str]] = []
    for shard in manifest["shards"]:
        key = f"{folder}/{ledger_file(shard['source'], shard['digest'])}"
        table = lake.read_table(key, ["doc_id", "row"])
        if not table.num_rows:
            continue
        ids, rows = (table.column(name).to_pylist() for name in ("doc_id", "row"))
        luck = uniforms(id_words(ids), manifest["config"]["seed"], "verify")
        chosen += [
            (float(luck[index]), (shard["source"], shard["digest"], rows[index]), ids[index])
            for index in np.argsort(luck)[:count]
        ]
        chosen = sorted(chosen)[:count]
    return {place: identity for _, place, identity in chosen}


@dataclass(slots=True, kw_only=True)
class _Found:
    """What was found of some documents in today's files."""

    texts: dict[Place, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    older: list[str] = field(default_factory=list)
    """Documents that today's readers do not find, since an older one gave them."""
    gone: int = 0


def _texts(
    project: Project,
    recipes: PinnedRecipes,
    manifest: Mapping[str, Any],
    sample: Mapping[Place, str],
) -> _Found:
    """Return the texts that were found, what is wrong, and how many documents are gone."""
    found = _Found()
    places = shard_places(project, manifest)
    for shard in recipes.project.all_shards():
        wanted = {row for source, digest, row in sample if (source, digest) == _name(shard)}
        file = project.files.at(places[_name(shard)][1])
        if not wanted or not file.is_file():
            continue
        if named_digest(digest_file(file), shard.shard.values) != shard.digest:
            continue
        mine = {}
        for document in read_shard(file, rules_as_read(recipes, shard.source, shard.digest)):
            if isinstance(document, Document) and document.row in wanted:
                mine[document.row] = document.text
        problems = []
        for row in sorted(wanted):
            if row not in mine:
                problems.append(f"{shard.shard.path} row {row} holds no document")
            elif doc_id(mine[row]) != sample[*_name(shard), row]:
                problems.append(f"{shard.shard.path} row {row} holds another text")
        if problems and is_read_otherwise(recipes, shard.source):
            found.older += problems
            mine = {
                row: text
                for row, text in mine.items()
                if doc_id(text) == sample[*_name(shard), row]
            }
        else:
            found.problems += problems
        found.texts |= {(*_name(shard), row): text for row, text in mine.items()}
    found.gone = len(sample) - len(found.texts) - len(found.older)
    return found


def _name(shard: PlacedShard) -> tuple[str, str]:
    return shard.source, shard.digest


def _text_finding(found: _Found) -> dict[str, Any]:
    state, words = "holds", f"{len(found.texts)} documents were read again and have their ids"
    if found.problems:
        state, words = "broken", "; ".join(found.problems[:5])
    elif found.older:
        state = "not_checked"
        words += (
            f"; {len(found.older)} were read by an older reader than today's, which reads them "
            f"otherwise: {'; '.join(found.older[:5])}"
        )
    elif found.gone:
        state = "holds" if found.texts else "not_checked"
        words += f"; the shards of {found.gone} more are gone or rewritten"
    return {"check": "deep_texts", "state": state, "words": words}


def _tasks(
    project: Project, manifest: Mapping[str, Any], lake: OverlayLake
) -> dict[Stage, Task | str]:
    """Return what scores a text, or why nothing can."""
    models, own = found_models(project, manifest, lake), _VersionModels(project, manifest, lake)
    tasks: dict[Stage, Task | str] = {}
    for stage in flow_stages(own.config):
        if isinstance(stage, ModelStage):
            found = models[stage.model]
            folder = found.folder
            if found.problem or folder is None:
                tasks[stage] = found.problem
            else:
                tasks[stage] = stage.scorer(own, folder, found.digest)
    return tasks


def _compare(
    recipes: PinnedRecipes, stage: Stage, task: Task, texts: Mapping[Place, str], dtype: str
) -> dict[str, Any]:
    """Score the texts and compare with the stored rows: the largest relative difference."""
    check = f"deep_{stage.name}"
    ids = [doc_id(text) for text in texts.values()]
    try:
        stored = _stored(recipes, stage, list(texts))
    except LakeError as error:
        return {"check": check, "state": "not_checked", "words": str(error)}
    again = task.run(ids, list(texts.values()))
    worst, column = 0.0, ""
    for name in again.column_names[1:]:
        new = np.array(again.column(name).to_pylist(), dtype=np.float64)
        old, measure = (
            np.array([row[one] for row in stored], dtype=np.float64)
            for one in (name, stage.scaled_by.get(name, name))
        )
        scale = np.abs(measure) if new.ndim == 1 else np.linalg.norm(measure, axis=1)
        gap = np.abs(new - old) if new.ndim == 1 else np.linalg.norm(new - old, axis=1)
        largest = float(np.max(gap / np.maximum(scale, 1e-12)))
        if largest >= worst:
            worst, column = largest, name
    bound = TOLERANCE.get(dtype, _COARSE) if stage.tolerance is None else stage.tolerance
    words = (
        f"{len(ids)} documents scored again; largest relative difference {worst:.1e} ({column}), "
        f"and up to {bound:.0e} is the number format's"
    )
    return {"check": check, "state": "holds" if worst <= bound else "broken", "words": words}


def _stored(recipes: PinnedRecipes, stage: Stage, places: list[Place]) -> list[dict[str, Any]]:
    """Return the stored rows of some places, in their order."""
    shards = {_name(shard): shard for shard in recipes.project.all_shards()}
    found: dict[Place, dict[str, Any]] = {}
    for name in {place[:2] for place in places}:
        rows = recipes.lake.read_table(
            recipes.feature_key(DOCUMENTS, shards[name]), ["row"]
        ).column("row")
        positions = {row: index for index, row in enumerate(rows.to_pylist())}
        table = recipes.lake.read_table(recipes.feature_key(stage, shards[name]))
        for place in places:
            if place[:2] == name:
                found[place] = table.slice(positions[place[2]], 1).to_pylist()[0]
    return [found[place] for place in places]
