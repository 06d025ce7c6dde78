"""What a table's contract is: its grain, its columns, their types and meanings."""

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Column:
    """One column: name, type, meaning, and whether null is allowed."""

    name: str
    type: pa.DataType
    meaning: str
    nullable: bool = False
    came_later: bool = False
    """Tables that were written before it was there lack it, and are whole."""

    @property
    def field(self) -> pa.Field:
        """The Arrow field of a table that may lack the column."""
        return pa.field(self.name, self.type, nullable=True)


@dataclass(frozen=True, slots=True)
class Table:
    """A table's contract."""

    name: str
    grain: str
    columns: tuple[Column, ...]

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema, without metadata."""
        return pa.schema([pa.field(c.name, c.type, c.nullable) for c in self.columns])

    def make(self, **arrays: object) -> pa.Table:
        """Return a table of these columns.

        Raises:
            ValueError: A column is missing, unknown, of another length, or holds a forbidden null.
        """
        expected = [column.name for column in self.columns]
        if set(arrays) != set(expected):
            odd = sorted(set(arrays) ^ set(expected))
            raise ValueError(f"table {self.name}: columns {odd} are missing or unknown")
        columns = []
        for column in self.columns:
            values = arrays[column.name]
            array = (
                values
                if isinstance(values, pa.Array | pa.ChunkedArray)
                else pa.array(values, type=column.type)
            )
            columns.append(array.cast(column.type))
        table = pa.Table.from_arrays(columns, schema=self.schema)
        self.check(table)
        return table

    def check(self, table: pa.Table) -> None:
        """Raise ValueError when a table breaks this contract."""
        for column in self.columns:
            if column.name not in table.column_names:
                raise ValueError(f"table {self.name}: no column {column.name!r}")
            if not column.nullable and table.column(column.name).null_count:
                raise ValueError(f"table {self.name}: nulls in column {column.name!r}")
