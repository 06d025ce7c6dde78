"""The texts that learners are judged on: pieces of held-out files, in groups."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from samplemix_dagster.config.evaluation import Evaluation
from samplemix_dagster.core.hashing import doc_id, fingerprint, id_words, keyed_hashes, uniforms
from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.corpus.rows import ReadRules
from samplemix_dagster.storage.corpus.shards import Document, read_shard

_PICK = "evaluation text"
_PLACE = "evaluation piece"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedText:
    """A piece of a held-out text, or what stands after a context in an item of a task."""

    group: str
    """Group of texts; of an item's answer the task, of its other options ``TASK~wrong``."""
    doc_id: str
    """Digest of the whole text, as a document of the corpus has one; or of the item."""
    piece: str
    context: str = ""
    """What is read before the piece and not judged."""
    task: str | None = None
    """The task that it is an option of; None of a text."""

    @property
    def is_answer(self) -> bool:
        """Whether it counts in its group: texts do, and the right options of tasks."""
        return self.task is None or self.group == self.task

    @property
    def unit(self) -> tuple[str, str]:
        """What is kept or refused as a whole: a text of a group, an item of a task."""
        return self.task or self.group, self.doc_id

    @property
    def num_bytes(self) -> int:
        """UTF-8 bytes that are judged."""
        return len(self.piece.encode())


def read_texts(
    project: Project, settings: Evaluation, rejected: Counter[str] | None = None
) -> list[JudgedText]:
    """Return the texts of every group, at most so many each, the same whatever the files' order.

    Args:
        project: The project.
        settings: Which files.
        rejected: Rows of each group that are no texts are counted here.

    Raises:
        InputError: No group is named, or one has no text that can be read.
    """
    if not settings.texts:
        raise InputError(
            "there is nothing to judge on: name files that are held out from the sources, "
            "`evaluation: {texts: {GROUP: path/to/*.jsonl}}`, or --texts GROUP=PATH. "
            "Tasks are judged beside texts."
        )
    count = Counter[str]() if rejected is None else rejected
    return [text for group in settings.texts for text in _of_group(project, settings, group, count)]


def texts_digest(texts: Sequence[JudgedText]) -> str:
    """Return a digest of what is judged, in its order."""
    # A text without context has the digest that it had before there were contexts.
    return fingerprint(
        [
            [text.group, text.doc_id, doc_id(text.piece)]
            + ([doc_id(text.context)] if text.context else [])
            for text in texts
        ]
    )


def _of_group(
    project: Project, settings: Evaluation, group: str, rejected: Counter[str]
) -> list[JudgedText]:
    found = {doc_id(text): text for text in _whole_texts(project, settings, group, rejected)}
    if not found:
        raise InputError(f"evaluation.texts.{group}: no text can be read from its files.")
    ids = sorted(found)
    words_N2 = id_words(ids)
    order = np.argsort(keyed_hashes(words_N2, settings.seed, _PICK))
    places = uniforms(words_N2, settings.seed, _PLACE)
    chosen = sorted(order[: settings.documents].tolist())
    return [
        JudgedText(
            group=group,
            doc_id=ids[row],
            piece=_piece(found[ids[row]], places[row], settings.piece_characters),
        )
        for row in chosen
    ]


def _whole_texts(
    project: Project, settings: Evaluation, group: str, rejected: Counter[str]
) -> Iterator[str]:
    source = settings.source(group)
    listing = project.files.matching(source.paths, reads_any=source.format != "auto")
    if not listing.files:
        raise InputError(
            f"evaluation.texts.{group}: {', '.join(source.paths)} names no file that is read."
        )
    rules = ReadRules.of(project.config.corpus, source)
    for path in listing.files:
        for row in read_shard(project.files.at(path), rules):
            if isinstance(row, Document):
                yield row.text
            else:
                rejected[group] += row.num_rows


def _piece(text: str, place: float, most: int) -> str:
    """Return a piece of a text that begins after white space, where there is any nearby."""
    if len(text) <= most:
        return text
    start = int(place * (len(text) - most))
    gap = next((at for at in range(start, start + most // 4) if text[at].isspace()), start - 1)
    return text[gap + 1 : gap + 1 + most]
