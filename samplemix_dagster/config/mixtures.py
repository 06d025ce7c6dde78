"""Which documents, how often: the keys of a mixture, by its strategy."""

import functools
import math
import operator
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)
from pydantic.config import JsonDict

from samplemix_dagster.core.limits import SHARES_TOLERANCE
from samplemix_dagster.core.mixture.shares import SharesByWord
from samplemix_dagster.core.mixture.strategies.strategy import Strategy
from samplemix_dagster.core.mixture.strategies.table import STRATEGIES
from samplemix_dagster.section import Section, Size, parse_size

SHUFFLED = "shuffled"
SOURCE = "source"
AXES = (SOURCE, "language", "cluster", "topic")
"""What shares can be held of in every project; labels that it names come beside them."""
_VERSION = re.compile(r"(?:[A-Za-z][A-Za-z0-9_-]*@)?[0-9a-f]{6,24}")


class Steps(Section):
    """A budget as a trainer counts it: so many steps of so many sequences of so many tokens."""

    steps: Size = Field(ge=1)
    """Steps of the training."""
    batch: Size = Field(ge=1)
    """Sequences of a step, over all ranks."""
    sequence: Size = Field(ge=1)
    """Tokens of a sequence."""

    @property
    def tokens(self) -> int:
        """Tokens of all steps."""
        return self.steps * self.batch * self.sequence


class After(Section):
    """What training has consumed before: this mixture goes on from there."""

    version: str
    """The version that was trained on: ``NAME@VERSION``, as ``samplemix mixture list`` says it."""
    tokens: Size = Field(ge=0)
    """Tokens of it that were consumed, from the first on in the order of its exports."""

    @field_validator("version")
    @classmethod
    def _names_one_for_good(cls, version: str) -> str:
        if _VERSION.fullmatch(version) is None:
            raise ValueError(
                "what was consumed is a version, NAME@VERSION or its first six digits or more, as "
                f"`samplemix mixture list` says it, not {version!r}: "
                "which version a name means moves"
            )
        return version


def _either_budget(schema: JsonDict) -> None:
    """Say in the schema that a budget is given as tokens or in steps."""
    if isinstance(required := schema.get("required"), list) and "budget_tokens" in required:
        required.remove("budget_tokens")
    schema["anyOf"] = [{"required": ["budget_tokens"]}, {"required": ["budget"]}]


class Mixture(Section):
    """Which documents, how often. Each strategy has keys of its own beside these."""

    model_config = ConfigDict(json_schema_extra=_either_budget)
    SAID_TWICE: ClassVar[frozenset[str]] = frozenset({"budget"})
    LATER: ClassVar[Mapping[str, Any]] = {
        "passes": "alike",
        "after": None,
        "shares_by": SOURCE,
    }

    strategy: str = "beta"
    """What gives a document its weight: the name of a strategy."""
    budget_tokens: Size = Field(ge=1)
    """Tokens to draw, repeats included, in the tokenizer named above; or give ``budget``."""
    budget: Steps | None = None
    """The same in steps, instead of ``budget_tokens``: ``{steps, batch, sequence}``."""
    max_copies: int = Field(default=4, ge=1, le=128)
    """How often one document may be drawn (epochs)."""
    shares: SharesByWord | dict[str, float] = "free"
    """Shares of the sources, or of what ``shares_by`` names: an outcome (``free``), or held: at the
    corpus's (``proportional``), at what the gates of quality leave of it (``kept``), at equal or at
    given ones."""
    shares_by: str | list[str] = SOURCE
    """What ``shares`` are shares of: ``source``, ``language``, ``cluster``, ``topic`` or one of the
    ``labels``; or a list of them, and a group is then one of each, as ``web/en``."""
    seed: int = Field(default=0, ge=0)
    """Mixtures with one seed share their luck, so that comparisons are paired."""

    passes: Literal["alike", "shuffled"] = "alike"
    """Whether documents that are drawn as often come in the same order in each pass."""
    after: After | None = None
    """What training has consumed of a version before; ``max_copies`` holds over both."""

    @model_validator(mode="before")
    @classmethod
    def _counts_steps(cls, value: Any) -> Any:
        """Fill in the tokens of a budget in steps; one that is wrong is told for itself."""
        if not isinstance(value, Mapping) or value.get("budget") is None:
            return value
        try:
            tokens = Steps.model_validate(value["budget"]).tokens
        except ValidationError:
            return {"budget_tokens": 1, **value}
        if (stated := value.get("budget_tokens")) is None:
            return {**value, "budget_tokens": tokens}
        try:
            is_same = parse_size(stated) == tokens
        except ValueError:
            return value
        if not is_same:
            raise ValueError(
                f"budget: steps x batch x sequence are {tokens:,} tokens, and budget_tokens is "
                f"{stated}; give one of them"
            )
        return value

    @field_validator("shares")
    @classmethod
    def _shares_sum_to_1(cls, shares: str | dict[str, float]) -> str | dict[str, float]:
        if isinstance(shares, dict):
            for name, share in shares.items():
                if not 0.0 <= share <= 1.0:
                    raise ValueError(f"a share lies in [0, 1]; that of {name} is {share}")
            total = math.fsum(shares.values())
            if abs(total - 1.0) > SHARES_TOLERANCE:
                raise ValueError(f"shares sum to 1; these sum to {total:.6g}")
        return shares

    @field_validator("shares_by")
    @classmethod
    def _by_something_once(cls, shares_by: str | list[str]) -> str | list[str]:
        """Return one word as a word, since a list of it means the same."""
        words = [shares_by] if isinstance(shares_by, str) else shares_by
        if not words:
            raise ValueError(f"shares are held by something: {', '.join(AXES)} or a label")
        if twice := sorted({word for word in words if words.count(word) > 1}):
            raise ValueError(f"{twice[0]!r} stands there twice")
        return words[0] if len(words) == 1 else words

    @property
    def axes(self) -> tuple[str, ...]:
        """What shares are shares of: one of each makes a group."""
        return (self.shares_by,) if isinstance(self.shares_by, str) else tuple(self.shares_by)

    @property
    def is_by_source(self) -> bool:
        """Whether the groups of shares are the sources."""
        return self.axes == (SOURCE,)

    @property
    def options(self) -> dict[str, object]:
        """The settings as values, as a strategy and a manifest read them."""
        return self.model_dump(mode="json")


def _mixture_of(kind: type[Strategy]) -> type[Mixture]:
    """Return the keys of a mixture of one strategy: the common ones and its own."""
    named: Any = (Literal[kind.name], Field(default=kind.name, description=_NAMES_STRATEGY))
    bases: Any = (kind.Options, Mixture)
    name = f"{kind.Options.__name__.removesuffix('Options')}Mixture"
    model: type[Mixture] = create_model(
        name, __base__=bases, __doc__=kind.Options.__doc__, strategy=named
    )
    return model


_NAMES_STRATEGY = "What gives a document its weight; each strategy has keys of its own."
MIXTURES: dict[str, type[Mixture]] = {name: _mixture_of(kind) for name, kind in STRATEGIES.items()}
"""The keys of a mixture by its strategy."""


def _strategy_named(value: Any) -> str:
    """Return by which strategy's keys a mixture is read; the first one's where none is named."""
    default = next(iter(MIXTURES))
    if isinstance(value, Mapping):
        return str(value.get("strategy", default))
    return str(getattr(value, "strategy", default))


if TYPE_CHECKING:
    AnyMixture = Mixture
else:
    AnyMixture = Annotated[
        functools.reduce(operator.or_, (Annotated[m, Tag(name)] for name, m in MIXTURES.items())),
        Discriminator(
            _strategy_named,
            custom_error_type="unknown_strategy",
            custom_error_message=f"there is no such strategy; there are {', '.join(MIXTURES)}",
        ),
    ]
"""A mixture, told apart by its ``strategy``."""
