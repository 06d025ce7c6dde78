"""What every section of the configuration is made of: sizes, names, and strictness."""

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

_SIZE = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*([kKmMbBgGtT]?)\s*")
_UNIT = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12}
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def parse_size(value: object) -> object:
    """Return ``10B``, ``500M``, ``1.5k`` as an integer; anything else passes through unchanged."""
    if isinstance(value, str):
        match = _SIZE.fullmatch(value)
        if match is None:
            raise ValueError(f"a size is a number with an optional k, M, B or T, not {value!r}")
        return round(float(match[1].replace("_", "")) * _UNIT[match[2].lower()])
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


Size = Annotated[int, BeforeValidator(parse_size)]


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values never change."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


def check_name(kind: str, name: str) -> None:
    """Refuse a name that could not be part of a key in the lake."""
    if NAME.fullmatch(name) is None:
        raise ValueError(f"a {kind}'s name has letters, digits, _ and -, not {name!r}")
