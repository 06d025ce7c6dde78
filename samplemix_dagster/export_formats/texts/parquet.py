"""Parquet: one draw a row, alone or as a trainer or a library wants its files."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from samplemix_dagster.export_formats.format import (
    FilePlan,
    Format,
    Option,
    ReadDraw,
    Reading,
    Writer,
    readings_of_texts,
)
from samplemix_dagster.export_formats.launch import Fragment, Launch, maxtext

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_AT_ONCE = 256


class Parquet(Format):
    """``parquet``: zstd inside."""

    name = "parquet"
    unit = "text"
    readings = readings_of_texts()
    endings = (".parquet",)

    def fragments(self, launch: Launch) -> tuple[Fragment, ...]:
        """Return what Axolotl and MaxText are told."""
        axolotl = (
            "pretraining_dataset:\n  - path: parquet\n"
            f"    data_files: {launch.quoted('*.parquet')}\n"
            "    type: pretrain\n    text_column: text\n    split: train\n"
            f"sequence_len: {launch.sequence}\nshuffle_merged_datasets: false\nmax_steps: STEPS"
        )
        return (
            Fragment(trainer="Axolotl 0.19", language="yaml", text=axolotl),
            maxtext("parquet", launch, "*.parquet"),
        )

    def open(self, folder: Path, plan: FilePlan) -> Writer:
        """Return a writer of tables."""
        del plan
        return _Tables(self, folder)

    def read_back(self, folder: Path, plan: FilePlan) -> Iterator[ReadDraw]:
        """Yield the draw of each row."""
        import pyarrow.parquet as pq

        from samplemix_dagster.core.hashing import doc_id

        for number in range(plan.num_files):
            [name] = self.file_names(number)
            offset = 0
            with pq.ParquetFile(folder / name) as file:
                for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
                    for row in batch.to_pylist():
                        yield ReadDraw(
                            file=name,
                            offset=offset,
                            num_tokens=row["num_tokens"],
                            digest=doc_id(row["text"]),
                            row=row,
                        )
                        offset += 1


class _Tables(Writer):
    def __init__(self, form: Parquet, folder: Path) -> None:
        self.form = form
        self.folder = folder

    def add(self, number: int, draws: "pa.Table") -> None:
        import pyarrow.parquet as pq

        [name] = self.form.file_names(number)
        pq.write_table(draws, self.folder / name, compression="zstd")


_README = "README.md"
_CARD = """\
---
configs:
- config_name: default
  data_files:
  - split: train
    path: train-*.parquet
---

# A mixture

One draw a row, in training order: `text`, `doc_id` (a hash of the text), `source`, `copy` (which
draw of the document it is, from 0), `num_tokens`, `id`. What it was made from stands in
`manifest.json`.
"""


class HuggingFace(Parquet):
    """``huggingface``: a folder that ``datasets.load_dataset`` opens, without a network."""

    name = "huggingface"
    stem = "train-"
    others = (_README,)

    def fragments(self, launch: Launch) -> tuple[Fragment, ...]:
        """Return how the folder is loaded, and what keeps its order in transformers' Trainer."""
        text = (
            f'rows = load_dataset({launch.quoted()}, split="train")\n'
            'TrainingArguments(train_sampling_strategy="sequential")  # and your own'
        )
        return (Fragment(trainer="transformers 5, TRL", language="python", text=text),)

    def open(self, folder: Path, plan: FilePlan) -> Writer:
        """Return a writer of tables and of the card that names them."""
        del plan
        return _WithCard(self, folder)


class _WithCard(_Tables):
    def close(self) -> None:
        (self.folder / _README).write_text(_CARD, encoding="utf-8")


_MOST_ROWS_OF_A_GROUP = 1024
_LEAST_GROUPS = 8


class Nanochat(Parquet):
    """``nanochat``: row groups of up to 1,024 draws, and a last file of held-out documents.

    A rank reads every n-th row group of a file, so a small file has at least eight of them.
    """

    name = "nanochat"
    readings = (Reading(words="best fit, cropped", kind="best_fit", more=1, adds=1),)
    stem = "shard_"
    options = MappingProxyType({"held_out": Option(default="1", is_named=False)})
    least_files = 2

    def fragments(self, launch: Launch) -> tuple[Fragment, ...]:
        """Return where nanochat looks for its shards."""
        text = f'cp {launch.shell()}/shard_*.parquet "$NANOCHAT_BASE_DIR/base_data_climbmix/"'
        return (Fragment(trainer="nanochat", language="sh", text=text),)

    def held_out_share(self, options: Mapping[str, str]) -> float:
        """Return ``held_out`` percent: what the last file has."""
        return int(options["held_out"]) / 100

    def open(self, folder: Path, plan: FilePlan) -> Writer:
        """Return a writer of tables in row groups."""
        del plan
        return _Grouped(self, folder)


class _Grouped(_Tables):
    def add(self, number: int, draws: "pa.Table") -> None:
        import pyarrow.parquet as pq

        [name] = self.form.file_names(number)
        rows = min(_MOST_ROWS_OF_A_GROUP, max(1, draws.num_rows // _LEAST_GROUPS))
        pq.write_table(
            draws,
            self.folder / name,
            compression="zstd",
            compression_level=3,
            row_group_size=rows,
            write_statistics=False,
        )
