"""What every section of the configuration is made of: sizes, names, and strictness."""

import difflib
import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

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


_RECIPE = "recipe"
_RECORDED = "recorded"


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values never change.

    A key that comes later stands in :attr:`LATER` with the value that means "as it was before the
    key was there". At that value it is in no recipe, so that its coming changes no address; and a
    section that was recorded before it came is read with that value, whatever the default is now.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )
    LATER: ClassVar[Mapping[str, Any]] = {}
    """Keys that came later, each with the value (as JSON) that stands for its absence."""
    GONE: ClassVar[Mapping[str, Any]] = {}
    """Keys that went, each with the value that recipes still name, so that no address moves."""
    SAID_TWICE: ClassVar[frozenset[str]] = frozenset()
    """Keys that say another key in other words: they are in no recipe, the other one is."""

    def for_recipe(self) -> dict[str, object]:
        """Return what of a section belongs to a recipe, as a JSON value."""
        return self.model_dump(mode="json", context={_RECIPE: True})

    @classmethod
    def recorded(cls, value: Mapping[str, Any]) -> Self:
        """Return a section as a manifest recorded it, perhaps before some of its keys came.

        Raises:
            pydantic.ValidationError: It is no such section any more.
        """
        return cls.model_validate(value, context={_RECORDED: True})

    @model_serializer(mode="wrap")
    def _leave_out(
        self, handler: SerializerFunctionWrapHandler, info: SerializationInfo[Any]
    ) -> dict[str, object]:
        found: dict[str, object] = handler(self)
        if not (info.context or {}).get(_RECIPE):
            return found
        kept = {
            key: value
            for key, value in found.items()
            if key not in self.SAID_TWICE and (key not in self.LATER or value != self.LATER[key])
        }
        return {**self.GONE, **kept}

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, value: Any, info: ValidationInfo[Any]) -> Any:
        if (info.context or {}).get(_RECORDED) and isinstance(value, Mapping):
            return {**cls.LATER, **{k: v for k, v in value.items() if k not in cls.GONE}}
        return value


def check_one_of(kind: str, name: str, names: Collection[str]) -> str:
    """Return a name that is one of some; refuse others, with the nearest of them."""
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f". Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"there is no {kind} {name!r}; there are {', '.join(names)}{hint}")
    return name


def check_name(kind: str, name: str) -> None:
    """Refuse a name that could not be part of a key in the lake."""
    if NAME.fullmatch(name) is None:
        raise ValueError(
            f"a {kind}'s name has letters, digits, _ and -, and begins with a letter, not {name!r}"
        )
