"""Parquet files as named relations of a connection that never opens them itself."""

from collections.abc import Sequence
from typing import Any

from samplemix_dagster.errors import LakeError
from samplemix_dagster.storage.ask.relations.views import REJECTED_ENDING
from samplemix_dagster.tables import REJECTIONS


class DataSets:
    """Parquet files as named relations of a connection that never opens them itself."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.num_made = 0

    def reader(self, files: Sequence[str], is_named: bool) -> str:
        """Return the name of a relation with the rows of some files."""
        name = f"files_{self.num_made}"
        self.num_made += 1
        self.connection.register(name, data_set(files, is_named=is_named))
        return name


def data_set(files: Sequence[str], *, is_named: bool) -> Any:
    """Return an Arrow data set; a file's name is a column of its own where it is asked for."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq
    from pyarrow.fs import LocalFileSystem

    try:
        schema = _whole(_readable(pq.read_schema(files[0]).remove_metadata()), files[0])
    except (pa.ArrowException, OSError) as error:
        raise LakeError(
            f"{files[0]} cannot be read ({error}); `samplemix run --check-lake` makes it again."
        ) from error
    if is_named:
        schema = schema.append(pa.field("filename", pa.string()))
    options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
    return ds.FileSystemDataset.from_paths(
        list(files),
        schema=schema,
        format=ds.ParquetFileFormat(default_fragment_scan_options=options),
        filesystem=LocalFileSystem(),
        partitions=[pc.field("filename") == file for file in files] if is_named else None,
    )


def _whole(schema: Any, file: str) -> Any:
    """Return a schema with the columns that came later: they are null where a table lacks them."""
    if not file.endswith(REJECTED_ENDING):
        return schema
    later = [column for column in REJECTIONS.columns if column.came_later]
    for column in later:
        if column.name not in schema.names:
            schema = schema.append(column.field)
    return schema


def _readable(schema: Any) -> Any:
    """Return a schema with floats for numbers of half precision, which DuckDB does not read."""
    import pyarrow as pa

    def wider(kind: Any) -> Any:
        if pa.types.is_float16(kind):
            return pa.float32()
        if pa.types.is_fixed_size_list(kind):
            return pa.list_(wider(kind.value_type), kind.list_size)
        return pa.list_(wider(kind.value_type)) if pa.types.is_list(kind) else kind

    return pa.schema([field.with_type(wider(field.type)) for field in schema])
