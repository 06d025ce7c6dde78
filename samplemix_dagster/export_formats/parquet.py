"""Parquet: one draw a row."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from samplemix_dagster.export_formats.format import FilePlan, Format, ReadDraw, Writer

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_AT_ONCE = 256


class Parquet(Format):
    """``parquet``: zstd inside."""

    name = "parquet"
    unit = "text"
    endings = (".parquet",)

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
