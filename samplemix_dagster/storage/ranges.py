"""Records set aside by range, so that each range can be sorted by itself: in scratch files.

What is sorted, and which range a record falls into, is decided elsewhere.
"""

import contextlib
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
import numpy.typing as npt

Records = npt.NDArray[np.void]
_BUFFER_BYTES = 1 << 16
_MOST_OPEN = 32
"""Files of one set that are open at once: some systems allow 256 in all, and there are thousands of
ranges."""


class Ranges:
    """Records of one form in so many ranges; each range is read once, and is gone then."""

    def __init__(self, folder: Path, name: str, form: np.dtype[Any], num_ranges: int) -> None:
        """Take a scratch folder, a name of its own in it, and the form of a record."""
        self.num_ranges = num_ranges
        self._form = form
        self._folder, self._name = folder, name
        self._present: set[int] = set()
        self._files: dict[int, IO[bytes]] = {}
        """Those that are open, the one that was written to last at the end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del kind, error, trace
        for number in list(self._present):
            self._forget(number)

    def add(self, ranges: npt.NDArray[np.int64], records: Records) -> None:
        """Set records aside, each in its range; those of one range stay in the order they came."""
        if not ranges.size:
            return
        order = np.argsort(ranges, kind="stable")
        present, first = np.unique(ranges[order], return_index=True)
        for number, rows in zip(present.tolist(), np.split(order, first[1:]), strict=True):
            self._file(number).write(records[rows].tobytes())

    def read(self, number: int) -> Records:
        """Return the records of a range, which are forgotten."""
        if number not in self._present:
            return np.empty(0, dtype=self._form)
        self._close(number)
        found = np.frombuffer(self._path(number).read_bytes(), dtype=self._form)
        self._forget(number)
        return found

    def _path(self, number: int) -> Path:
        return self._folder / f"{self._name}-{number:05d}.bin"

    def _file(self, number: int) -> IO[bytes]:
        file = self._files.pop(number, None)
        if file is None:
            while len(self._files) >= _MOST_OPEN:
                self._close(next(iter(self._files)))
            self._folder.mkdir(parents=True, exist_ok=True)
            file = self._path(number).open("ab", buffering=_BUFFER_BYTES)
            self._present.add(number)
        self._files[number] = file
        return file

    def _close(self, number: int) -> None:
        """Write out what is still in memory, should the file be open.

        Raises:
            OSError: The disk is full.
        """
        if number in self._files:
            self._files.pop(number).close()

    def _forget(self, number: int) -> None:
        with contextlib.suppress(OSError):
            self._close(number)
        self._path(number).unlink(missing_ok=True)
        self._present.discard(number)
