"""An export, looked back at: which document stands where, and what a trainer takes of each.

An export of ids has a map of its draws; one of texts says in its rows what they are. Nothing here
asks the lake, so that a folder that was carried elsewhere can be asked as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from samplemix_dagster.config.mixtures import Steps
from samplemix_dagster.core.layouts import Seen, best_fit, one_a_row, sequences_of, windows
from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import ConfigError, InputError
from samplemix_dagster.export_formats.format import FilePlan, Reading
from samplemix_dagster.export_formats.wanted import MANIFEST, PLACES, Wanted
from samplemix_dagster.stages.mixture.published.version_files import export_key
from samplemix_dagster.storage.exports import PLACES_SCHEMA
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.trace.versions import resolve_version

Row = Mapping[str, Any]
"""JSON values by name."""
SHOWN = ("doc_id", "source", "copy", "id", "file", "offset", "num_ids")
"""What is said of a draw."""
_SEQUENCE = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """An export that stands somewhere."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def wanted(self) -> Wanted:
        """What it was asked for as."""
        return Wanted.of_manifest(self.manifest)

    @property
    def files(self) -> list[str]:
        """The names of its files of draws, in order."""
        return [str(file["name"]) for file in self.manifest["files"]]


def open_export(project: Project, words: str, export: str = "") -> Exported:
    """Return an export by its folder, or by a mixture's version and its name.

    Args:
        project: The project.
        words: A folder that holds an export, or a version, as ``resolve_version`` takes it.
        export: Which of the mixture's exports, where there are several.

    Raises:
        InputError: There is no export.
        ConfigError: There is no such mixture, version or export.
    """
    folder = Path(words)
    if folder.is_dir():
        manifest = Lake(folder.parent.resolve()).read_json(f"{folder.resolve().name}/{MANIFEST}")
    else:
        name, version = resolve_version(project, words)
        key = export_key(project, name, version, export)
        manifest = project.lake.read_json(f"{key}/{MANIFEST}")
        folder = project.lake.folder(key) if manifest is not None else Path(key)
    if manifest is None:
        raise InputError(f"{folder} holds no export; `samplemix export` and `samplemix run` do.")
    return Exported(folder=folder, manifest=manifest)


def budget_in_steps(project: Project, exported: Exported) -> Steps | None:
    """Return how many steps the mixture of an export was drawn for, where its budget says that."""
    name, version = str(exported.manifest["name"]), str(exported.manifest["version"])
    settings = project.config.mixtures.get(name)
    if settings is None or settings.budget is None:
        return None
    drawn = project.lake.read_json(keys.manifest(name, version)) or {}
    is_of_today = drawn.get("config", {}).get("budget_tokens") == settings.budget_tokens
    return settings.budget if is_of_today else None


def draws_of(exported: Exported) -> pa.Table:
    """Return every draw of an export in its order, with the columns of :data:`PLACES_SCHEMA`.

    Of texts, ``offset`` is a row and ``num_ids`` are the tokens that were counted.

    Raises:
        InputError: A file is missing or is not what was written.
    """
    wanted = exported.wanted
    try:
        if wanted.has_places:
            return pq.read_table(exported.folder / PLACES)
        plan = FilePlan(num_files=wanted.num_files, options=wanted.options)
        rows = [
            {**one.row, "file": one.file, "offset": one.offset, "num_ids": one.num_tokens}
            | {"digest": one.digest}
            for one in wanted.form.read_back(exported.folder, plan)
        ]
        return pa.Table.from_pylist(rows, schema=PLACES_SCHEMA)
    except (OSError, ValueError) as error:
        raise InputError(f"{exported.folder} cannot be read: {error}") from error


def sequence_of(exported: Exported, asked: int | None) -> int:
    """Return the ids of a training sequence: what is asked for, or what the export was written for.

    Raises:
        ConfigError: The export's rows were written for another sequence.
    """
    own = exported.wanted.options.get("sequence")
    if own is None:
        return _SEQUENCE if asked is None else asked
    if asked not in {None, int(own)}:
        raise ConfigError(
            f"{exported.wanted.words} was written for sequences of {own}, not {asked}"
        )
    return int(own)


# -- where -----------------------------------------------------------------------------------------


def trace_place(exported: Exported, file: str, offset: int) -> list[Row]:
    """Return the draws that stand at a place: one, or several where copies share their ids.

    Args:
        exported: The export.
        file: The name of one of its files of draws.
        offset: An id from 0 in a file of ids; a row from 0 in one of texts.

    Raises:
        ConfigError: There is no such file, or nothing stands there.
    """
    if file not in exported.files:
        raise ConfigError(f"no file {file!r} of draws; there are {', '.join(exported.files)}")
    draws = draws_of(exported).filter(pc.field("file") == file)
    width = pc.field("num_ids") if exported.wanted.has_places else pc.scalar(1)
    at = pc.scalar(offset)
    found = draws.filter((pc.field("offset") <= at) & (at < pc.field("offset") + width))
    if not found.num_rows and exported.wanted.form.joins_files:
        found = _goes_on(draws_of(exported), exported.files, file, offset)
    if not found.num_rows:
        what = "id" if exported.wanted.has_places else "row"
        raise ConfigError(f"{file} has no document at {what} {offset:,}")
    return [{key: row[key] for key in SHOWN} for row in found.to_pylist()]


def _goes_on(draws: pa.Table, files: list[str], file: str, offset: int) -> pa.Table:
    """Return the draw that began in an earlier file and goes on in this one."""
    before = draws.filter(pc.is_in(draws["file"], pa.array(files[: files.index(file)])))
    first = draws.filter(pc.field("file") == file)
    begins = first["offset"][0].as_py() if first.num_rows else offset + 1
    return before.slice(before.num_rows - 1) if offset < begins else before.slice(0, 0)


def trace_step(exported: Exported, step: int, batch: int, sequence: int | None = None) -> list[Row]:
    """Return the documents of each sequence of a training step, where the order is fixed.

    One process reads, or several take turns, sequence by sequence.

    Args:
        exported: The export.
        step: Which step, from 0.
        batch: Sequences of a step, over all processes.
        sequence: Ids of a sequence, L; see :func:`sequence_of`.

    Raises:
        ConfigError: The trainer chooses its own order or cuts texts itself, or there are fewer
            steps.
    """
    form = exported.wanted.form
    if form.unit == "text":
        raise ConfigError(f"{form.name} is cut by the trainer's own tokenizer; ask FILE ROW")
    reading = form.readings[0]
    if not reading.keeps_order:
        other = ", or name Megatron's --cache" if form.name == "megatron" else ""
        raise ConfigError(f"the trainers of {form.name} shuffle; ask FILE OFFSET{other}")
    sequence = sequence_of(exported, sequence)
    draws = draws_of(exported)
    lengths, streams = draws["num_ids"].to_numpy(), _streams(draws, exported, reading)
    num_ids = np.bincount(streams, weights=lengths).astype(np.int64)
    size, apart = sequence + reading.more, sequence + reading.step_more
    every = sequences_of(num_ids, size, apart, is_last_padded=reading.pads)
    chosen = range(step * batch, min((step + 1) * batch, every.stream.size))
    if not chosen:
        steps = -(-every.stream.size // batch)
        raise ConfigError(
            f"there is no step {step:,}: {every.stream.size:,} sequences, {steps:,} steps"
        )
    ends = np.cumsum(lengths)
    before = np.cumsum(num_ids) - num_ids
    found: list[Row] = []
    for number in chosen:
        low = int(before[every.stream[number]])
        start, end = low + int(every.start[number]), low + int(every.end[number])
        first, last = np.searchsorted(ends, start, "right"), np.searchsorted(ends, end, "left")
        for row in draws.slice(int(first), int(last - first) + 1).to_pylist():
            at = int(ends[first]) - row["num_ids"]
            first += 1
            begin, stop = max(start, at), min(end, at + row["num_ids"])
            span = {"sequence": number, "begin": begin - at, "end": stop - at}
            found.append({**span, **{key: row[key] for key in SHOWN}})
    return found


def _streams(draws: pa.Table, exported: Exported, reading: Reading) -> Any:
    """Return in which stream of ids each draw stands: its file's, or one for all."""
    if not reading.by_file:
        return np.zeros(draws.num_rows, dtype=np.int64)
    return pc.index_in(draws["file"], pa.array(exported.files)).to_numpy().astype(np.int64)


# -- as the trainer sees it ------------------------------------------------------------------------


def as_seen(
    exported: Exported, sequence: int | None = None, wanted_sequences: int | None = None
) -> list[Row]:
    """Return what trainers take of an export in one pass: a row for each way in which it is read.

    Args:
        exported: The export.
        sequence: Ids of a sequence, L; see :func:`sequence_of`.
        wanted_sequences: Sequences of the whole training: what is above one pass is repeated.

    Raises:
        ConfigError: The export was written for another sequence.
    """
    sequence = sequence_of(exported, sequence)
    draws = draws_of(exported)
    if (form := exported.wanted.form).held_out_share(exported.wanted.options):
        draws = draws.filter(pc.field("file") != exported.files[-1])
    sources = draws["source"].to_numpy(zero_copy_only=False)
    found: list[Row] = []
    for reading in form.readings:
        lengths = draws["num_ids"].to_numpy() + reading.adds
        seen = _seen(lengths, draws, exported, reading, sequence)
        row: Row = {
            "reading": reading.words,
            "sequence": sequence,
            "sequences": seen.num_sequences,
            "ids": int(lengths.sum()),
            "kept": int(seen.kept.sum()),
            "cropped": seen.cropped,
            "dropped": seen.dropped,
            "padded": seen.padded,
        }
        if wanted_sequences is not None:
            repeated = max(0, wanted_sequences - seen.num_sequences) * sequence
            row = {**row, "repeated": repeated}
        shares = {"before": _shares(sources, lengths), "after": _shares(sources, seen.kept)}
        found.append({**row, "shares": shares})
    return found


def _seen(
    lengths: Any, draws: pa.Table, exported: Exported, reading: Reading, sequence: int
) -> Seen:
    size = sequence + reading.more
    if reading.kind == "best_fit":
        return best_fit(lengths, size)
    if reading.kind == "one_a_row":
        return one_a_row(lengths, size)
    streams, step = _streams(draws, exported, reading), sequence + reading.step_more
    return windows(lengths, streams, size, step, is_last_padded=reading.pads)


def _shares(sources: Any, weights: Any) -> dict[str, float]:
    """Return each source's share of some ids, by name."""
    names, of = np.unique(sources.astype(str), return_inverse=True)
    totals = np.bincount(of, weights=weights, minlength=names.size)
    return dict(zip(names.tolist(), (totals / max(1.0, totals.sum())).tolist(), strict=True))
