"""Junk that machines wrote for machines: tables of numbers, logs, bytes in hexadecimal."""

from collections.abc import Callable, Sequence

from samplemix_dagster.core.junk.kind import Junk
from samplemix_dagster.core.junk.luck import Luck
from samplemix_dagster.core.junk.material import Material

_SEPARATORS = (", ", "\t", "  ", "; ")
_LEVELS = ("INFO", "INFO", "INFO", "DEBUG", "WARN", "ERROR")
_METHODS = ("GET", "GET", "GET", "POST", "HEAD")
_STATUSES = (200, 200, 200, 304, 301, 404, 500)
_DAY_SECONDS = 86_400
_EPOCH_YEAR = 2008

Line = Callable[[Luck, int], str]
"""A line of a document by its luck and number."""


def _lines(line: Line, luck: Luck, length: int) -> str:
    """Return lines until they have so many characters together."""
    found: list[str] = []
    while length > 0:
        found.append(line(luck.of("line", len(found)), len(found)))
        length -= len(found[-1]) + 1
    return "\n".join(found)


class Numbers:
    """A table of numbers, with or without a line of names above it.

    It imitates measurements, prices and results that stand in crawls as text: columns of one form,
    decimals, counts or dates, behind one separator.
    """

    name = "numbers"

    def make(self, material: Material, luck: Luck) -> Junk:
        """Return a table of 4 to 10 columns."""
        count = luck.number("columns", 4, 11)
        forms = luck.picks("forms", _CELLS, count)
        between = luck.pick("separator", _SEPARATORS)

        def line(own: Luck, number: int) -> str:
            values = own.uniforms("cells", count)
            cells = (form(float(v), number) for form, v in zip(forms, values, strict=True))
            return between.join(cells)

        table = _lines(line, luck, material.length(luck))
        names = between.join(luck.picks("names", material.content_words, count))
        return Junk(f"{names}\n{table}" if luck.uniform("head") < 0.5 else table)


def _decimal(value: float, _: int) -> str:
    return f"{20 * value - 10:.4f}"


def _count(value: float, _: int) -> str:
    return str(int(10 ** (6 * value)))


def _percent(value: float, _: int) -> str:
    return f"{100 * value:.1f}"


def _date(value: float, number: int) -> str:
    return f"{2000 + number % 20}-{1 + int(12 * value):02}-{1 + int(336 * value) % 28:02}"


_CELLS: Sequence[Callable[[float, int], str]] = (_decimal, _decimal, _count, _percent, _date)


class Logs:
    """Lines of a log, each with its time.

    It imitates logs of servers and programs that were published or crawled; paths and names are
    words of the source.
    """

    name = "logs"

    def make(self, material: Material, luck: Luck) -> Junk:
        """Return the log of a part of one day, in one of three forms."""
        form = luck.pick("form", (_system_line, _access_line, _program_line))
        day = f"{luck.number('year', _EPOCH_YEAR, 2024)}-{luck.number('month', 1, 13):02}"
        day += f"-{luck.number('day', 1, 29):02}"
        start, step = luck.number("start", 0, _DAY_SECONDS), luck.number("step", 1, 40)

        def line(own: Luck, number: int) -> str:
            return form(own, day, _clock(start + number * step), material.content_words)

        return Junk(_lines(line, luck, material.length(luck)))


def _clock(seconds: int) -> str:
    seconds %= _DAY_SECONDS
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _system_line(luck: Luck, day: str, clock: str, words: Sequence[str]) -> str:
    service, verb, thing = luck.picks("words", words, 3)
    place = f"host{luck.number('host', 1, 9)} {service}[{luck.number('pid', 100, 32000)}]"
    return f"{day} {clock} {place}: {verb} {thing} ok"


def _access_line(luck: Luck, day: str, clock: str, words: Sequence[str]) -> str:
    address = ".".join(map(str, luck.numbers("address", 1, 255, 4)))
    path = "/".join(luck.picks("path", words, 2))
    return (
        f"{address} - - [{day} {clock} +0000] "
        f'"{luck.pick("method", _METHODS)} /{path}/{luck.number("page", 1, 9999)} HTTP/1.1" '
        f"{luck.pick('status', _STATUSES)} {luck.number('bytes', 90, 99999)}"
    )


def _program_line(luck: Luck, day: str, clock: str, words: Sequence[str]) -> str:
    return (
        f"{day}T{clock}.{luck.number('ms', 0, 1000):03}Z {luck.pick('level', _LEVELS)} "
        f"worker-{luck.number('worker', 1, 99)} {luck.pick('word', words)} "
        f"took {luck.number('took', 1, 9999)} ms id={luck.number('id', 0, 1 << 32):08x}"
    )


class Hex:
    """Bytes in hexadecimal digits: dumps with addresses, words of eight digits, lists of sums.

    It imitates encoded data that is broken by enough spaces to pass for text.
    """

    name = "hex"

    def make(self, material: Material, luck: Luck) -> Junk:
        """Return lines of one of three forms."""
        form = luck.pick("form", (_dump_line, _words_line, _sums_line))
        return Junk(_lines(form, luck, material.length(luck)))


def _dump_line(luck: Luck, number: int) -> str:
    return f"{16 * number:08x}  {' '.join(f'{n:02x}' for n in luck.numbers('bytes', 0, 256, 16))}"


def _words_line(luck: Luck, _: int) -> str:
    return " ".join(f"{n:08x}" for n in luck.numbers("words", 0, 1 << 32, 8))


def _sums_line(luck: Luck, number: int) -> str:
    size = luck.number("size", 256, 1 << 20)
    return f"{luck.number('sum', 0, 1 << 40):010x}  {size:x}  {number:04x}"
