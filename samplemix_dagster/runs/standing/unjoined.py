"""Files of other tools that say nothing of the corpus: all of it has what is for the rest."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from samplemix_dagster.config.exclude import Outside
from samplemix_dagster.config.scoring.signals import Joined
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.stages import NotFittedError, Stage
from samplemix_dagster.errors import DamagedError, InputError
from samplemix_dagster.runs.standing.warned import Warned
from samplemix_dagster.stages.exclusions.excluded import EXCLUDED
from samplemix_dagster.stages.exclusions.external import kept_out
from samplemix_dagster.stages.outside.external import external_components, external_signals
from samplemix_dagster.stages.outside.joined import COLUMNS, cells, document_keys, joined_file
from samplemix_dagster.stages.outside.labels import label_stages
from samplemix_dagster.storage.lake import keys


@dataclass(frozen=True, slots=True, kw_only=True)
class _Joining:
    """A stage that joins a file, and what its table says of a document that the file names."""

    stage: Stage
    where: str
    joined: Joined
    column: str
    is_known: Callable[[pa.ChunkedArray], bool]
    rest: str
    """What a document has that the file does not name."""


def unjoined(recipes: Recipes) -> list[Warned]:
    """Return the files that say nothing of the documents that are read, where there are any.

    What is not joined yet says nothing, nor does a file that is gone: it is told elsewhere.
    """
    return [
        *(warned for joining in _joinings(recipes) for warned in _warned(recipes, joining)),
        *_keeping_out_nothing(recipes),
    ]


def _joinings(recipes: Recipes) -> Iterator[_Joining]:
    config = recipes.config
    every = (*external_signals(config).values(), *external_components(config).values())
    for stage in every:
        yield _Joining(
            stage=stage,
            where=stage.where,
            joined=stage.external,
            column="is_known",
            is_known=_says_so,
            rest=f"the score {stage.external.missing:g} of `missing`",
        )
    for label in label_stages(config):
        yield _Joining(
            stage=label,
            where=label.where,
            joined=label.joined,
            column="label",
            is_known=partial(_is_another, label.joined.unknown),
            rest=f"the label {label.joined.unknown!r} of `unknown`",
        )


def _says_so(column: pa.ChunkedArray) -> bool:
    return bool(pc.any(column).as_py())


def _is_another(unknown: str, column: pa.ChunkedArray) -> bool:
    return bool(pc.any(pc.not_equal(column, unknown)).as_py())


def _warned(recipes: Recipes, joining: _Joining) -> Iterator[Warned]:
    try:
        num_documents, names = _unsaid(recipes, joining)
        if not num_documents:
            return
        why = _why(recipes, joining, names)
    except (InputError, DamagedError):
        return
    words = (
        f"{joining.joined.file} ({joining.where}) says nothing of any of the {num_documents:,} "
        f"documents, so each has {joining.rest}: {why}"
    )
    yield Warned(kind="unjoined", where=joining.stage.asset, words=words)


def _unsaid(recipes: Recipes, joining: _Joining) -> tuple[int, list[str]]:
    """Return how many documents there are and some of their names; 0 where one is known."""
    num_documents, names = 0, list[str]()
    for shard in recipes.project.all_shards():
        key = recipes.feature_key(joining.stage, shard)
        if not recipes.lake.exists(key):
            continue
        column = recipes.lake.read_table(key, [joining.column]).column(joining.column)
        if joining.is_known(column):
            return 0, []
        num_documents += len(column)
        names = names or _names(recipes, joining.joined.by, shard)
    return num_documents, names


def _names(recipes: Recipes, by: str, shard: PlacedShard) -> list[str]:
    documents = read(recipes, DOCUMENTS, shard, *COLUMNS)
    return [name for (_, name), _ in document_keys(documents, shard.source, by) if name]


def _why(recipes: Recipes, joining: _Joining, names: list[str]) -> str:
    """Say how names look on both sides, which is mostly why they do not meet."""
    joined = joining.joined
    file = joined_file(recipes.project, joined, joining.where)
    found = [(name, value) for _, (_, name), value in cells(file, joined, joining.where)]
    if apart := _apart(joined, [name for name, _ in found], names):
        return apart
    value = next(value for name, value in found if name in names)
    return (
        f"it names them, and the first value in its column {joined.column!r}, {value!r:.40}, is "
        "none that counts"
    )


def _apart(joined: Joined, found: list[str], names: list[str]) -> str:
    """Say why no name of a file is one of the documents; empty where one is."""
    if not found:
        return "it has no row that names one"
    if not names:
        return f"no document has {joined.by!r}"
    if not set(found).isdisjoint(names):
        return ""
    return (
        f"it names {found[0]!r:.40} first, in its column {joined.key!r}, and by {joined.by!r} the "
        f"first document is {names[0]!r:.40}"
    )


def _keeping_out_nothing(recipes: Recipes) -> Iterator[Warned]:
    """Yield the files of exclusions by which no document is kept out, where they were looked at."""
    every = recipes.config.exclude.external
    if not every:
        return
    try:
        stated = recipes.lake.read_json(keys.fit_note(recipes.fit_key(EXCLUDED)), {})
        counts = stated.get("facts", {}).get("by_set", {})
        for name, outside in every.items():
            if counts.get(name) == 0:
                why = _why_nothing(recipes, outside, f"exclude.external.{name}")
                words = f"{outside.file} (exclude.external.{name}) keeps no document out: {why}"
                yield Warned(kind="unjoined", where=EXCLUDED.asset, words=words)
    except (NotFittedError, InputError, DamagedError):
        return


def _why_nothing(recipes: Recipes, outside: Outside, where: str) -> str:
    file = joined_file(recipes.project, outside, where)
    rows = [(name, value) for _, (_, name), value in cells(file, outside, where)]
    named = [name for _, name in kept_out(file, outside, where)]
    if rows and not named:
        return (
            f"no value in its column {outside.column!r} does, of which the first is "
            f"{rows[0][1]!r:.40}"
        )
    firsts = {shard.source: shard for shard in reversed(recipes.project.all_shards())}
    names = [name for shard in firsts.values() for name in _names(recipes, outside.by, shard)]
    return _apart(outside, named, names) or "those that it names are not drawn anyway, or not here"
