"""The texts that learners are judged on: pieces of held-out files, in groups."""

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
    """A piece of a held-out text."""

    group: str
    doc_id: str
    """Digest of the whole text, as a document of the corpus has one."""
    piece: str

    @property
    def num_bytes(self) -> int:
        """UTF-8 bytes that are judged."""
        return len(self.piece.encode())


def read_texts(project: Project, settings: Evaluation) -> list[JudgedText]:
    """Return the texts of every group, at most so many each, the same whatever the files' order.

    Raises:
        InputError: No group is named, or one has no text that can be read.
    """
    if not settings.texts:
        raise InputError(
            "there is nothing to judge on: name files that are held out from the sources, "
            "`evaluation: {texts: {GROUP: path/to/*.jsonl}}`, or --texts GROUP=PATH."
        )
    return [text for group in settings.texts for text in _of_group(project, settings, group)]


def texts_digest(texts: Sequence[JudgedText]) -> str:
    """Return a digest of what is judged, in its order."""
    return fingerprint([[text.group, text.doc_id, doc_id(text.piece)] for text in texts])


def _of_group(project: Project, settings: Evaluation, group: str) -> list[JudgedText]:
    found = {doc_id(text): text for text in _whole_texts(project, settings, group)}
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


def _whole_texts(project: Project, settings: Evaluation, group: str) -> Iterator[str]:
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


def _piece(text: str, place: float, most: int) -> str:
    """Return a piece of a text that begins after white space, where there is any nearby."""
    if len(text) <= most:
        return text
    start = int(place * (len(text) - most))
    gap = next((at for at in range(start, start + most // 4) if text[at].isspace()), start - 1)
    return text[gap + 1 : gap + 1 + most]
