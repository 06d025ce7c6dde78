"""Read the files of tasks: each row is an item that may be judged, or is rejected with a reason."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from samplemix_dagster.config.corpus import Source
from samplemix_dagster.config.evaluation import Evaluation
from samplemix_dagster.core.hashing import id_words, keyed_hashes
from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.corpus.rows import ReadRules, Row, rows_of
from samplemix_dagster.validation.tasks.forms import FORMS, Form, Item, RefusedRowError, form_of
from samplemix_dagster.validation.tasks.harness import is_harness_file, read_harness_task
from samplemix_dagster.validation.texts import JudgedText

_PICK = "evaluation item"
_WRONG = "~wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task as its files have it.

    Attributes:
        name: What it is called.
        form: Name of its form.
        num_rows: Rows of its files: those of ``items``, of ``left_out`` and the rejected ones.
        items: What is judged, at most so many as are asked for, in the order of their digests.
        left_out: Items that are beyond that number.
        rejected: Rows that make no item of their own, by reason.
    """

    name: str
    form: str
    num_rows: int
    items: list[Item]
    left_out: int
    rejected: Mapping[str, int]

    def options(self) -> Iterator[JudgedText]:
        """Yield what is judged: of each item the answer, then the other options."""
        for item in self.items:
            for number, option in enumerate((item.answer, *item.others)):
                yield JudgedText(
                    group=f"{self.name}{_WRONG}" if number else self.name,
                    doc_id=item.doc_id,
                    piece=option.continuation,
                    context=option.context,
                    task=self.name,
                )


def read_tasks(project: Project, settings: Evaluation) -> list[Task]:
    """Return every task that is named, the same whatever the order of its rows.

    Raises:
        InputError: A task has no file, no known form, or no row that makes an item.
    """
    return [_task(project, settings, name) for name in settings.tasks]


def _task(project: Project, settings: Evaluation, name: str) -> Task:
    paths = Source(path=settings.tasks[name]).paths
    of_harness = read_harness_task(project, paths[0]) if is_harness_file(paths) else None
    source = of_harness.source if of_harness else Source(path=paths, format="jsonl")
    found = _Found(name, of_harness.form if of_harness else None)
    for row in _rows(project, source, name):
        found.add(row)
    rejected = dict(sorted(found.rejected.items()))
    if found.form is None or not found.items:
        reasons = "; ".join(f"{reason}: {count}" for reason, count in rejected.items())
        raise InputError(
            f"evaluation.tasks.{name}: none of its {found.num_rows} rows can be judged"
            + (f" ({reasons})." if reasons else ".")
        )
    chosen = _chosen(found.items, settings)
    return Task(
        name=name,
        form=found.form.name,
        num_rows=found.num_rows,
        items=chosen,
        left_out=len(found.items) - len(chosen),
        rejected=rejected,
    )


class _Found:
    """What the rows of a task are, one after another.

    The first one's fields say its form, where no task file does.
    """

    def __init__(self, name: str, form: Form | None) -> None:
        self.name, self.form = name, form
        self.num_rows = 0
        self.items: dict[str, Item] = {}
        self.rejected: Counter[str] = Counter()

    def add(self, row: Row) -> None:
        self.num_rows += row.num_rows
        made = self._made(row)
        if isinstance(made, str):
            self.rejected[made] += row.num_rows
            return
        num_again = row.num_rows - (made.doc_id not in self.items)
        self.items[made.doc_id] = made
        if num_again:
            self.rejected["stands there twice"] += num_again

    def _made(self, row: Row) -> Item | str:
        """Return a row's item, or why there is none."""
        if row.fields is None:
            return (row.problem or "no fields").replace("_", " ")
        self.form = self.form or _known_form(self.name, row.fields)
        try:
            return self.form.item(row.fields)
        except RefusedRowError as error:
            return str(error)


def _rows(project: Project, source: Source, name: str) -> Iterator[Row]:
    listing = project.files.matching(source.paths, reads_any=True)
    if not listing.files:
        raise InputError(f"evaluation.tasks.{name}: {', '.join(source.paths)} names no file.")
    rules = ReadRules.of(project.config.corpus, source)
    for path in listing.files:
        yield from rows_of(project.files.at(path), rules)


def _known_form(name: str, row: Mapping[str, object]) -> Form:
    form = form_of(row)
    if form is None:
        raise InputError(
            f"evaluation.tasks.{name}: its first row has the fields {', '.join(row)}, which is no "
            f"known form: {'; '.join(one.in_words for one in FORMS)}."
        )
    return form


def _chosen(items: Mapping[str, Item], settings: Evaluation) -> list[Item]:
    ids = sorted(items)
    order = np.argsort(keyed_hashes(id_words(ids), settings.seed, _PICK))
    return [items[ids[row]] for row in sorted(order[: settings.documents].tolist())]
