"""evaluation_texts: the items of evaluations, and the index by which they are looked for."""

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from samplemix_dagster.config.project import Config
from samplemix_dagster.core.contamination.search import Index, Wanted, wanted_of
from samplemix_dagster.core.values import strings_in
from samplemix_dagster.engine.fitting.writer import FitWriter
from samplemix_dagster.engine.outcome import Progress
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.stages import Facts, Settings
from samplemix_dagster.errors import InputError
from samplemix_dagster.stages.optional import OptionalFit
from samplemix_dagster.storage.corpus.places.files import Seen
from samplemix_dagster.storage.corpus.rows import Openable, ReadRules, Row, rows_of
from samplemix_dagster.table_contract import Column, Table

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project

INDEX_FILE = "index.safetensors"
ITEMS_FILE = "items.parquet"
ITEMS = Table(
    "items",
    "One row per item of the evaluations.",
    (
        Column("evaluation", pa.string(), "the set that it belongs to"),
        Column("item", pa.int64(), "row in the set's files, from 0"),
        Column("num_grams", pa.int64(), "grams that are looked for; 0: it is too short"),
        Column("is_whole", pa.bool_(), "looked for whole, since no field has n words"),
    ),
)
_BLOCK_BYTES = 1 << 20


class EvaluationTexts(OptionalFit):
    """The items of evaluations: a fit to their files, and to no shard."""

    name = "evaluation_texts"
    asset = "evaluation_texts"
    group = "shards"
    words = "Items of evaluations, and the index by which documents that hold them are found."
    is_frozen = False

    def is_asked(self, config: Config) -> bool:
        """Whether sets are named."""
        return bool(config.exclude.evaluation)

    def is_used(self, config: Config, name: str) -> bool:
        """No mixture's recipe names it: that names what is excluded."""
        del config, name
        return False

    def needs(self, project: "Project", name: str) -> tuple[str, ...]:
        """Return nothing: files of evaluations are all that it reads."""
        del project, name
        return ()

    def waits(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()

    def shards(self, recipes: "Recipes", name: str) -> list[PlacedShard]:
        """Return none."""
        del recipes, name
        return []

    def settings(self, recipes: "Recipes", name: str) -> Settings:
        """Return the digests of each set's files, how they are read, and what is looked for.

        Raises:
            InputError: A set names no file.
        """
        del name
        exclude, project = recipes.config.exclude, recipes.project
        return {
            "ngram": exclude.ngram,
            "shortest": exclude.shortest,
            "sets": {
                name: {
                    "files": [_digest_of(file) for file in _files(project, name)],
                    "read": _rules(project, name).text_recipe(),
                    "field": exclude.field(name),
                }
                for name in exclude.evaluation
            },
        }

    def make(self, recipes: "Recipes", writer: FitWriter, name: str, progress: Progress) -> Facts:
        """Read every item; say of each set how many are looked for, and how many are too short.

        Raises:
            InputError: A set has no item with text.
        """
        del name
        exclude = recipes.config.exclude
        wanted: list[Wanted] = []
        sets: list[str] = []
        numbers: list[int] = []
        for done, one in enumerate(exclude.evaluation):
            own = [
                wanted_of(parts, exclude.ngram, exclude.shortest)
                for parts in _items(recipes.project, one)
            ]
            if not any(item.parts for item in own):
                raise InputError(
                    f"exclude.evaluation.{one}: none of its {len(own)} rows has text of "
                    f"{exclude.shortest} words; name the field that has it: "
                    f"{one}: {{path: ..., text: FIELD}}."
                )
            wanted += own
            sets += [one] * len(own)
            numbers += range(len(own))
            progress(self.asset, "", done + 1, len(exclude.evaluation))
        index = Index.of(wanted, exclude.ngram)
        writer.lake.write_arrays(INDEX_FILE, index.to_arrays())
        items = ITEMS.make(
            evaluation=sets,
            item=numbers,
            num_grams=index.sizes,
            is_whole=[item.is_whole for item in wanted],
        )
        writer.lake.write_table(ITEMS_FILE, items, ITEMS, recipes.fit_recipe(self))
        return {"num_grams": int(index.grams.size), "sets": _counts(sets, wanted)}


EVALUATION_TEXTS = EvaluationTexts()


def _counts(sets: list[str], wanted: list[Wanted]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for name, item in zip(sets, wanted, strict=True):
        entry = found.setdefault(name, {"items": 0, "looked_for": 0, "whole": 0, "too_short": 0})
        entry["items"] += 1
        entry["looked_for"] += bool(item.parts)
        entry["whole"] += bool(item.parts) and item.is_whole
        entry["too_short"] += not item.parts
    return found


def _rules(project: "Project", name: str) -> ReadRules:
    return ReadRules.of(project.config.corpus, project.config.exclude.source(name))


def _files(project: "Project", name: str) -> list[tuple[str, Openable, Seen | None]]:
    source = project.config.exclude.source(name)
    listing = project.files.matching(source.paths, reads_any=source.format != "auto")
    if not listing.files:
        raise InputError(
            f"exclude.evaluation.{name}: {', '.join(source.paths)} names no file that is read."
        )
    files = project.files
    return [(str(files.at(path)), files.at(path), files.look(path)) for path in listing.files]


_digests: dict[tuple[str, Seen | None], str] = {}


def _digest_of(place: tuple[str, Openable, Seen | None]) -> str:
    """Return a file's digest; one whose size and stamp are as they were is not read again."""
    name, file, seen = place
    if (name, seen) not in _digests:
        digest = hashlib.blake2b(digest_size=16)
        with file.open("rb") as opened:
            while block := opened.read(_BLOCK_BYTES):
                digest.update(block)
        _digests[name, seen] = digest.hexdigest()
    return _digests[name, seen]


def _items(project: "Project", name: str) -> Iterator[list[str]]:
    """Yield the texts of each row of a set's files; none of a row that cannot be read."""
    field = project.config.exclude.field(name)
    for _, file, _ in _files(project, name):
        for row in rows_of(file, _rules(project, name)):
            for _ in range(row.num_rows):
                yield list(_texts_of(row, field))


def _texts_of(row: Row, field: str | None) -> Iterator[str]:
    if field is not None or row.fields is None:
        if isinstance(row.value, str):
            yield row.value
        return
    yield from strings_in(row.fields)
