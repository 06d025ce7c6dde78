"""What every section of the configuration is made of: sizes, names, and strictness."""

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

_SIZE = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*([kKmMbBgGtT]?)\s*")
_UNIT = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12}
_LARGEST = 10**18
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def parse_size(value: object) -> object:
    """Return ``10B``, ``500M``, ``1.5k`` as an integer; anything else passes through unchanged."""
    if isinstance(value, str):
        match = _SIZE.fullmatch(value)
        if match is None:
            raise ValueError(f"a size is a number with an optional k, M, B or T, not {value!r}")
        return _bounded(float(match[1].replace("_", "")) * _UNIT[match[2].lower()], value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _bounded(value, value)
    return value


def _bounded(number: float, written: object) -> object:
    """Return a number as an integer where it is one; refuse what no count can be."""
    if not -_LARGEST <= number <= _LARGEST:
        shown = str(written) if len(str(written)) < 40 else f"{str(written)[:30]}..."
        raise ValueError(f"a size is at most {_LARGEST:.0e}, not {shown}")
    if isinstance(written, str):
        return round(number)
    return int(number) if float(number).is_integer() else number


Size = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema({"type": ["integer", "string"], "pattern": _SIZE.pattern}),
]
Seed = Annotated[int, Field(ge=0, lt=1 << 32)]
"""What generators of fits take for a seed."""


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values never change."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


def check_name(kind: str, name: str) -> None:
    """Refuse a name that could not be part of a key in the lake."""
    if NAME.fullmatch(name) is None:
        raise ValueError(f"a {kind}'s name has letters, digits, _ and -, not {name!r}")
