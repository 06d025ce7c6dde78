"""What was computed of a text is kept, however the text comes back: rows are carried over by id.

A shard that was rewritten keeps the rows of texts that it had before. A source that is read by
another recipe keeps the rows of texts that come out as before: a model never scores a text twice
for the way in which it was read.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.stages import NotFittedError, Stage
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.corpus.manifest import source_of
from samplemix_dagster.storage.lake import keys

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes


def carried_rows(recipes: "Recipes", stage: Stage, shard: PlacedShard) -> pa.Table | None:
    """Return what the stage found for texts that are likely to stand in a shard again.

    That is what the same path held before, and what the same bytes gave when they were read by
    another recipe: a text has the same scores, however it was read. None where there is nothing.
    """
    found = [recipes.lake.read_table(key) for key in carried_keys(recipes, stage, shard)]
    return pa.concat_tables(found) if found else None


def carried_keys(recipes: "Recipes", stage: Stage, shard: PlacedShard) -> list[str]:
    """Return the tables from which rows are carried over; the nearest first.

    Raises:
        NotFittedError: The stage's recipe depends on a fit that has not been made.
    """
    if not stage.carries_over:
        return []
    here = recipes.feature_folder(stage, shard.source)
    folders = _former_folders(recipes, stage, shard.source)
    digests = [shard.digest, shard.shard.previous]
    places = [(here, shard.shard.previous), *((f, d) for f in folders for d in digests)]
    places_of = [f"{folder}/{digest}.parquet" for folder, digest in places if digest is not None]
    return [key for key in dict.fromkeys(places_of) if recipes.lake.exists(key)]


def _former_folders(recipes: "Recipes", stage: Stage, source: str) -> list[str]:
    """Return the folders by the recipes before that differ from today's in the reading alone."""
    state = recipes.lake.read_json(keys.done_note(stage.name, source))
    recipe = recipes.recipe(stage, source)
    found = []
    while state:
        if differs_in_reading(state["recipe"], recipe) and _is_read_anew(recipes, source, state):
            found.append(str(state["folder"]))
        state = state.get("former")
    return found


def _is_read_anew(recipes: "Recipes", source: str, state: Mapping[str, Any]) -> bool:
    """Whether a source was read by the rules of today, but by other readers."""
    plain = recipes.project.rules(source).text_recipe()
    before = {key: value for key, value in state.get("reading", {}).items() if key != "readers"}
    return before == plain or state["recipe"]["text"] == fingerprint(plain)


def differs_in_reading(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether two recipes differ, and only in how text is read."""
    if before.get("text") == after.get("text") or "text" not in before or "text" not in after:
        return False
    return fingerprint({**before, "text": ""}) == fingerprint({**after, "text": ""})


def record_recipe(recipes: "Recipes", stage: Stage, partition: str) -> None:
    """Note by which recipe a stage's tables are current: views and reasons look there."""
    source = source_of(partition)
    recipe = recipes.recipe(stage, source)
    state: dict[str, object] = {"recipe": recipe, "folder": recipes.feature_folder(stage, source)}
    key = keys.done_note(stage.name, source)
    known = recipes.lake.read_json(key)
    if known and known["folder"] == state["folder"]:
        recipes.lake.keep_json(key, known)  # one of an older form gets its digest
        return
    if readers := recipes.project.readers(source):
        state["reading"] = recipes.project.rules(source).text_recipe(readers)
    if known and partition != source and differs_in_reading(known["recipe"], recipe):
        # The source's other parts still carry rows over from there.
        state["former"] = {key: value for key, value in known.items() if key != "former"}
    recipes.lake.keep_json(key, state)


def note_what_stands(recipes: "Recipes", stages: Iterable[Stage]) -> None:
    """Note by which recipe tables are current that a run found whole and had not to make.

    A setting that is turned back finds its tables as they were. Without a note the views would show
    those of the setting between.
    """
    by_source: dict[str, set[str]] = {}
    try:
        for shard in recipes.project.all_shards():
            by_source.setdefault(shard.source, set()).add(f"{shard.digest}.parquet")
    except InputError:  # a source cannot be listed, which the run says: nothing is known whole
        return
    for stage in stages:
        for source, files in sorted(by_source.items()):
            try:
                folder = recipes.feature_folder(stage, source)
            except NotFittedError:
                continue
            known = recipes.lake.read_json(keys.done_note(stage.name, source))
            if known and known["folder"] != folder and files <= set(recipes.lake.names(folder)):
                record_recipe(recipes, stage, source)
