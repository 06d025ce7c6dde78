"""ArrayRecord: one ``tf.train.Example`` a draw, for MaxText and what reads by Grain.

A record is found by its number, so that a trainer shuffles the whole, or reads it in order. The
features are those of a row: ``text``, ``doc_id``, ``source`` and ``id`` as bytes, ``copy`` and
``num_tokens`` as whole numbers; a draw without an ``id`` has no such feature.
"""

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samplemix_dagster.errors import InputError
from samplemix_dagster.export_formats.format import (
    FilePlan,
    Format,
    ReadDraw,
    Writer,
    readings_of_texts,
)
from samplemix_dagster.export_formats.launch import Fragment, Launch, maxtext

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_AT_ONCE = 256
_ONE_BY_ONE = "group_size:1"
"""What Grain asks for: a record is unpacked without its neighbours."""
_BYTES = ("text", "doc_id", "source", "id")
_NUMBERS = ("copy", "num_tokens")
_EXAMPLE = """
name: "samplemix/example.proto" package: "samplemix" syntax: "proto3"
message_type { name: "BytesList"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_BYTES } }
message_type { name: "Int64List"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_INT64 } }
message_type { name: "Feature" oneof_decl { name: "kind" }
  field { name: "bytes_list" number: 1 label: LABEL_OPTIONAL oneof_index: 0
          type: TYPE_MESSAGE type_name: ".samplemix.BytesList" }
  field { name: "int64_list" number: 3 label: LABEL_OPTIONAL oneof_index: 0
          type: TYPE_MESSAGE type_name: ".samplemix.Int64List" } }
message_type { name: "Features"
  nested_type { name: "FeatureEntry" options { map_entry: true }
    field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
    field { name: "value" number: 2 label: LABEL_OPTIONAL
            type: TYPE_MESSAGE type_name: ".samplemix.Feature" } }
  field { name: "feature" number: 1 label: LABEL_REPEATED
          type: TYPE_MESSAGE type_name: ".samplemix.Features.FeatureEntry" } }
message_type { name: "Example"
  field { name: "features" number: 1 label: LABEL_OPTIONAL
          type: TYPE_MESSAGE type_name: ".samplemix.Features" } }
"""
"""The fields of ``tf.train.Example`` that are written, by the numbers that TensorFlow gave them."""


class ArrayRecord(Format):
    """``arrayrecord``: needs the package ``array-record``."""

    name = "arrayrecord"
    unit = "text"
    readings = readings_of_texts()
    endings = (".array_record",)

    def fragments(self, launch: Launch) -> tuple[Fragment, ...]:
        """Return what MaxText is told."""
        return (maxtext("arrayrecord", launch, "*.array_record"),)

    def open(self, folder: Path, plan: FilePlan) -> Writer:
        """Return a writer of records."""
        del plan
        return _Records(self, folder, _module())

    def read_back(self, folder: Path, plan: FilePlan) -> Iterator[ReadDraw]:
        """Yield the draw of each record, asked for by its number."""
        from samplemix_dagster.core.hashing import doc_id

        module = _module()
        for number in range(plan.num_files):
            [name] = self.file_names(number)
            for offset, row in enumerate(_rows(module, folder / name)):
                yield ReadDraw(
                    file=name,
                    offset=offset,
                    num_tokens=row["num_tokens"],
                    digest=doc_id(row["text"]),
                    row=row,
                )


class _Records(Writer):
    def __init__(self, form: ArrayRecord, folder: Path, module: Any) -> None:
        self.form = form
        self.folder = folder
        self.module = module

    def add(self, number: int, draws: "pa.Table") -> None:
        [name] = self.form.file_names(number)
        writer = self.module.ArrayRecordWriter(str(self.folder / name), _ONE_BY_ONE)
        for batch in draws.to_batches(max_chunksize=_ROWS_AT_ONCE):
            for row in batch.to_pylist():
                writer.write(_record(row))
        writer.close()


def _rows(module: Any, path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield what is known of each draw of a file.

    Raises:
        ValueError: It is no such file, or a record is not what is written of a draw.
    """
    try:
        reader = module.ArrayRecordReader(str(path))
        if not reader.ok():
            raise ValueError(f"{path.name} is no ArrayRecord")
        for first in range(0, reader.num_records(), _ROWS_AT_ONCE):
            last = min(first + _ROWS_AT_ONCE, reader.num_records())
            yield from map(_row, reader.read(list(range(first, last))))
    except RuntimeError as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from error


def _record(row: Mapping[str, Any]) -> bytes:
    """Return a draw as an example; features in the order of their names."""
    example = _example_class()()
    feature = example.features.feature
    for key in _BYTES:
        if row[key] is not None:
            feature[key].bytes_list.value.append(row[key].encode())
    for key in _NUMBERS:
        feature[key].int64_list.value.append(row[key])
    return bytes(example.SerializeToString(deterministic=True))


def _row(record: bytes) -> Mapping[str, Any]:
    """Return what an example says of a draw.

    Raises:
        ValueError: It is no example of one.
    """
    from google.protobuf.message import DecodeError

    try:
        feature = _example_class().FromString(record).features.feature
    except DecodeError as error:
        raise ValueError(f"a record is no example: {error}") from error
    words = {key: feature[key].bytes_list.value[0].decode() for key in _BYTES if key in feature}
    numbers = {key: feature[key].int64_list.value[0] for key in _NUMBERS if key in feature}
    row = {"id": None, **words, **numbers}
    if missing := [key for key in (*_BYTES, *_NUMBERS) if key not in row]:
        raise ValueError(f"a record has no {missing[0]}")
    return row


@functools.cache
def _example_class() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

    file = text_format.Parse(_EXAMPLE, descriptor_pb2.FileDescriptorProto())
    # A pool of its own: TensorFlow's, where it is loaded too, has these names elsewhere.
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("samplemix.Example"))


def _module() -> Any:
    """Return what writes and reads the files.

    Raises:
        InputError: The package is not installed.
    """
    try:
        from array_record.python import array_record_module
    except ImportError as error:
        raise InputError(
            "arrayrecord is written by the package array-record, which is not installed (there is "
            "one for Linux and macOS). Run `pip install 'samplemix-dagster[arrayrecord]'`."
        ) from error
    return array_record_module
