"""Read an export back and compare it with the ledger, draw by draw."""

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from samplemix_dagster.core.draw_count import DrawCount
from samplemix_dagster.core.hashing import id_words
from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import CheckFailedError
from samplemix_dagster.export_formats.format import FilePlan, ReadDraw
from samplemix_dagster.export_formats.wanted import PLACES, Wanted
from samplemix_dagster.stages.export.order import ledger_key
from samplemix_dagster.storage.exports import Places, Spill, writing_places


@dataclass(slots=True)
class Found:
    """What was read back."""

    draws: DrawCount = field(default_factory=DrawCount)
    num_tokens: int = 0
    num_ids: int = 0
    """Ids that lie in the files; more than the tokens by what EOS adds."""


def read_back(folder: Path, wanted: Wanted, plan: FilePlan, spill: Spill) -> Found:
    """Compare every draw with what was set aside, and write down where it lies.

    Raises:
        CheckFailedError: A draw is not what was set aside for its place.
    """
    found = Found()
    with _places(folder, wanted) as places:
        for row, draw in itertools.zip_longest(_rows(spill, plan), _draws(folder, wanted, plan)):
            if row is None or draw is None:
                raise CheckFailedError("the files have another number of draws than were written")
            _compare_draw(row, draw, plan)
            found.draws.add_one(row["doc_id"])
            found.num_tokens += row["num_tokens"]
            found.num_ids += draw.num_tokens
            if places is not None:
                places.add(row, draw)
    return found


def _places(folder: Path, wanted: Wanted) -> contextlib.AbstractContextManager[Places | None]:
    return writing_places(folder / PLACES) if wanted.has_places else contextlib.nullcontext()


def _rows(spill: Spill, plan: FilePlan) -> Iterator[Mapping[str, Any]]:
    for number in range(plan.num_files):
        yield from spill.rows(number)


def _draws(folder: Path, wanted: Wanted, plan: FilePlan) -> Iterator[ReadDraw]:
    """Yield what the format's reader finds.

    Raises:
        CheckFailedError: It cannot read the files.
    """
    try:
        yield from wanted.form.read_back(folder, plan)
    except (ValueError, KeyError, OSError) as error:
        raise CheckFailedError(f"the export cannot be read back: {error}") from error


def _compare_draw(row: Mapping[str, Any], draw: ReadDraw, plan: FilePlan) -> None:
    """Compare a draw with what was set aside.

    Raises:
        CheckFailedError: They differ.
    """
    identity = row["doc_id"]
    if plan.vocabulary is None:
        if draw.digest != identity:
            raise CheckFailedError(f"an exported text is not the document {identity}")
        num_tokens = row["num_tokens"]
    else:
        if draw.digest != row["digest"]:
            raise CheckFailedError(f"exported tokens are not those of the document {identity}")
        num_tokens = row["num_ids"]
    differing = [key for key, value in draw.row.items() if row.get(key, value) != value]
    if differing or draw.num_tokens != num_tokens:
        what = ", ".join(differing or ["num_tokens"])
        raise CheckFailedError(
            f"a draw of the document {identity} was exported with another {what}"
        )


def compare_with_ledger(project: Project, mixture: Mapping[str, Any], found: Found) -> None:
    """Compare what was read back with the ledger.

    Args:
        project: The project.
        mixture: The version's manifest.
        found: What was read back.

    Raises:
        CheckFailedError: They differ.
    """
    wanted = DrawCount()
    for shard in mixture["shards"]:
        ledger = project.lake.read_table(ledger_key(mixture, shard), ["doc_id", "copies"])
        copies = ledger.column("copies").to_numpy().astype(np.int64)
        ids = ledger.column("doc_id").to_numpy(zero_copy_only=False)[copies > 0]
        wanted.add(id_words(ids.astype("S32")), copies[copies > 0])
    realised = mixture["report"]["realised_tokens"]
    if not found.draws.is_of(wanted) or found.num_tokens != realised:
        raise CheckFailedError(
            f"the export has {found.draws.num_draws:,} draws and {found.num_tokens:,} tokens, "
            f"the ledger {wanted.num_draws:,} and {realised:,}"
        )
