"""A statement at work, within bounds of time and memory."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

from samplemix_dagster.config.around import Query
from samplemix_dagster.errors import SampleMixError

_BATCH_ROWS = 100_000
_LOOK_SECONDS = 0.05
_GIVE_UP_SECONDS = 0.5
"""How long a stopped statement is waited for; one that takes longer ends with the process."""


class Asked:
    """A statement at work in a thread of its own, so that it can be stopped from this one."""

    def __init__(self, connection: Any, sql: str, limits: Query | None) -> None:
        self.connection = connection
        self.sql = sql
        self.limits = limits
        self.found: Any = None
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def answer(self) -> Any:
        """Return the table, or raise what went wrong.

        Raises:
            SampleMixError: It took too long.
        """
        until = time.monotonic() + (self.limits.timeout if self.limits else float("inf"))
        self.thread.start()
        try:
            while self.thread.is_alive():
                self.thread.join(_LOOK_SECONDS)
                if time.monotonic() > until and self.thread.is_alive():
                    self._stop()
                    raise SampleMixError(
                        f"query: stopped after {self.limits.timeout if self.limits else 0} s; ask "
                        "for less, or raise `query.timeout`."
                    )
        except KeyboardInterrupt:
            self._stop()
            raise
        if self.error is not None:
            raise self.error
        return self.found

    def _stop(self) -> None:
        """Interrupt the statement until its thread has ended, or for as long as is bearable."""
        import duckdb

        until = time.monotonic() + _GIVE_UP_SECONDS
        while self.thread.is_alive() and time.monotonic() < until:
            with contextlib.suppress(duckdb.Error):  # it has just ended
                self.connection.interrupt()
            self.thread.join(_LOOK_SECONDS)

    def _bounded(self, reader: Any) -> Iterator[Any]:
        """Yield the answer's batches, as long as all of them together may be held."""
        num_bytes = 0
        for batch in reader:
            num_bytes += batch.nbytes
            if self.limits is not None and num_bytes > self.limits.memory:
                raise MemoryError
            yield batch

    def _run(self) -> None:
        import pyarrow as pa

        try:
            self.connection.execute("begin transaction read only")
            reader = self.connection.sql(self.sql).to_arrow_reader(_BATCH_ROWS)
            self.found = pa.Table.from_batches(list(self._bounded(reader)), reader.schema)
        except BaseException as error:  # noqa: BLE001  the other thread raises it
            self.error = error
        finally:
            self.connection.close()
