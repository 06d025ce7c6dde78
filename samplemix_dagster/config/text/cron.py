"""Cron lines: five fields, checked when the configuration is read and not when night comes."""

import re

_NAMES = {
    3: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    4: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
}
_FIELDS = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 7),
)
_MACROS = frozenset(
    {"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"}
)
_PART = re.compile(r"(\*|[0-9a-z]+)(?:-([0-9a-z]+))?(?:/([0-9]+))?")


def check_cron(line: str) -> None:
    """Refuse what is no cron line.

    Raises:
        ValueError: It has not five fields, or a field cannot be; the message says which.
    """
    if line.lower() in _MACROS:
        return
    fields = line.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(
            f"a cron line has five fields (minute, hour, day, month, weekday), not {len(fields)}: "
            f"{line!r}"
        )
    for position, field in enumerate(fields):
        for part in field.lower().split(","):
            _check_part(part, position, line)


def _check_part(part: str, position: int, line: str) -> None:
    name, lowest, highest = _FIELDS[position]
    if position == 2 and part == "l":
        return  # the last day of the month
    found = _PART.fullmatch(part)
    if found is None or (found[1] == "*" and found[2]):
        raise ValueError(f"{part!r} is no {name} of a cron line: {line!r}")
    values = [_number(word, position) for word in found.groups()[:2] if word and word != "*"]
    in_range = all(value is not None and lowest <= value <= highest for value in values)
    in_order = len(values) < 2 or (in_range and values[0] <= values[1])  # type: ignore[operator]
    if not in_range or not in_order or found[3] == "0" or (found[3] and int(found[3]) > highest):
        raise ValueError(
            f"{part!r} is no {name} of a cron line (they are {lowest} to {highest}): {line!r}"
        )


def _number(word: str, position: int) -> int | None:
    names = _NAMES.get(position, [])
    if word in names:
        return names.index(word) + (1 if position == 3 else 0)
    return int(word) if word.isdigit() else None
