"""What stands in values such as JSON has: mappings, lists, strings; and one spelling of each."""

import math
from collections.abc import Iterator, Mapping
from datetime import date, time
from decimal import Decimal


def strings_in(value: object) -> Iterator[str]:
    """Yield every string in a value, however deep; keys of mappings are none."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from strings_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from strings_in(inner)


def spelt(value: object) -> str:
    """Return a name or a label as text, whoever wrote it; empty where it says nothing.

    A column of whole numbers with holes in it is one of floats in many tools, so ``18.0`` is
    ``18``; true and false are as JSON and YAML have them.

    Raises:
        ValueError: It is neither text nor one value of another kind, but a list, say.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str):
        return value if value.strip() else ""
    if isinstance(value, int | float | date | time | Decimal):
        return str(value)
    raise ValueError(f"{value!r:.40} is no text, number or date")
