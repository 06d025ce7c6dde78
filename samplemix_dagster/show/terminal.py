"""What reaches a terminal: words on stderr, answers on stdout, and no escape sequence of a corpus.

Texts, names and paths come from other people's files. A control character among them could clear
the screen, rename the window or write what nobody said, so each is shown as its escape. In JSON it
*is* an escape, and a reader of the JSON gets the character itself.
"""

import contextlib
import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable
from decimal import Decimal
from typing import IO, Any

_UNSEEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, but tab and the end of a line
    "\u200e\u200f\u202a-\u202e\u2066-\u2069"  # what turns the direction of writing
    "\u2028\u2029\ufeff\ud800-\udfff"
)
_HARMFUL = re.compile(f"[{_UNSEEN}]")
_HARMFUL_IN_JSON = re.compile(
    "[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def plain(text: str) -> str:
    r"""Return text as a terminal may have it: ``ESC [ 2 J`` is written ``\x1b[2J``."""
    return _HARMFUL.sub(_escape, text)


def plain_line(text: str) -> str:
    """Return text as one harmless line: line ends and tabs are blanks."""
    return plain(" ".join(text.splitlines()).replace("\t", " "))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def to_json(value: Any, indent: int | None = 1) -> str:
    """Return one JSON value as text that a terminal may have, too."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=_jsonable)
    return _HARMFUL_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _jsonable(value: Any) -> Any:
    """Return what JSON lacks a kind for: whole decimals (DuckDB's wide sums) stay numbers."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)


def print_json(value: Any) -> None:
    """Print one JSON value on stdout."""
    _write(sys.stdout, to_json(value) + "\n")


def print_lines(lines: Iterable[str]) -> None:
    """Print lines on stdout."""
    for line in lines:
        _write(sys.stdout, plain(line) + "\n")


def print_raw(text: str) -> None:
    """Print text that was made here and holds styles of our own, on stdout."""
    _write(sys.stdout, text)


def terminal_width() -> int | None:
    """Return the terminal's columns; None where stdout is no terminal."""
    if not sys.stdout.isatty():
        return None
    from rich.console import Console

    return Console().width


def say(sentence: str) -> None:
    """Tell a person something, on stderr; where nobody listens any more, work goes on."""
    with contextlib.suppress(BrokenPipeError):
        _write(sys.stderr, _between_words(plain(sentence)) + "\n")
        sys.stderr.flush()


def _between_words(text: str) -> str:
    """Return text whose lines end between words where a terminal would end them anywhere."""
    if not sys.stderr.isatty():
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(
        textwrap.fill(
            line,
            width,
            subsequent_indent=" " * (len(line) - len(line.lstrip()) + 2),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in text.split("\n")
    )


def _write(stream: IO[str], text: str) -> None:
    try:
        stream.write(text)
    except UnicodeEncodeError:  # a terminal that has fewer characters
        encoding = getattr(stream, "encoding", None) or "ascii"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def own_console() -> Any:
    """Return a rich console on :func:`own_stderr` that falls silent where nobody listens any more.

    rich would end the process, and with it a run that is hours old.
    """
    from rich.console import Console

    class Patient(Console):
        """A console whose broken pipe is no reason to stop."""

        def on_broken_pipe(self) -> None:
            """Say nothing from now on."""
            self.quiet = True

    return Patient(file=own_stderr(), highlight=False, markup=False, emoji=False)


def own_stderr() -> IO[str]:
    """Return a stream to today's stderr that stays it.

    Dagster turns the process's stderr into a file while a step runs. What draws progress needs the
    terminal all the while.
    """
    try:
        number = os.dup(sys.__stderr__.fileno() if sys.__stderr__ else 2)
    except (OSError, ValueError):
        return sys.stderr  # there is no such file: a test's, or a service's
    return os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace", buffering=1)
