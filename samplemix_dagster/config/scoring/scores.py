"""How good a document is: the signals of quality, and scores that another tool gave."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from samplemix_dagster.config.scoring.models import Student
from samplemix_dagster.config.scoring.signals import Contrast, External, Resembles
from samplemix_dagster.core.quality.loss.spread_windows import FEWEST_TOKENS, most_tokens_read
from samplemix_dagster.section import Section, Size, check_name


class Band(Section):
    """A best band of perplexity, in robust standard deviations around the group's median."""

    centre: float
    """Centre of the band."""
    width: float = Field(gt=0)
    """Half-width of the band."""


PERPLEXITY = "perplexity"
"""The signal of quality that is always computed."""
UNDER = f"{PERPLEXITY}:"
"""What stands before the name of another reference, whose perplexity is a signal, too."""
CONTRAST = "contrast"
"""The signal that compares two references."""
CLEAN = "clean"
"""The signal that tells text from junk (``core/quality/clean``)."""


def check_exponents(
    key: str, kind: str, exponents: Mapping[str, float], known: Sequence[str]
) -> None:
    """Refuse exponents of what is not there, or below 0.

    Raises:
        ValueError: With the key and the name.
    """
    for name, exponent in exponents.items():
        if name not in known:
            raise ValueError(f"{key}: no {kind} {name!r}; known: {', '.join(known)}")
        if not 0 <= exponent < float("inf"):
            raise ValueError(f"{key}: {name} is {exponent}; a weight is 0 or more")


_NAMED = ("own", "resembles", "external")
"""The keys of sections that name signals."""


class Quality(Section):
    """How perplexity, and other signals beside it, become a score in (0, 1)."""

    reference: str = "main"
    """The reference that scores."""
    direction: Literal["low", "high"] | Band = "low"
    """Which perplexity is good: low, high, or a band."""
    calibrate_by: Literal["language", "language_length", "source", "source_language", "none"] = (
        "language"
    )
    """Groups within which bits per byte are compared; small ones lean on what they are part of."""
    unit: Literal["byte", "letter"] = "byte"
    """What bits are told by where documents are compared: a byte of UTF-8, or a letter, which is
    two or three bytes outside of the Latin alphabet."""
    no_language: Literal["own", "parent"] = "own"
    """What documents without a language (`und`, `zxx`) are compared with: each other, or what
    languages are part of, in whose numbers they then have no say."""
    overlap_tokens: int = Field(default=64, ge=0)
    """Tokens of context that a window of a long document shares with the one before."""
    context_tokens: int | None = Field(default=None, ge=16)
    """Window length; the model's own context (at most 1024) when absent."""
    tokens_per_document: Size | None = Field(default=None, ge=FEWEST_TOKENS)
    """Score this many tokens of a long document, in windows; all of them when absent."""
    student: Student | None = None
    """Let a cheap model learn the reference's scores from a sample, and score the rest."""
    signals: dict[str, float] = {"perplexity": 1.0}
    """Exponents of the signals in their geometric mean: `perplexity`, `perplexity:NAME` under
    another reference, `contrast`, `rules`, `clean`, your own; 0: out."""
    contrast: Contrast | None = None
    """What the signal `contrast` compares."""
    gates: dict[str, float] = {}
    """Exponents of signals that the calibrated mean is multiplied by: what a gate says is no text
    comes out near 0, whatever it is compared with."""
    own: dict[str, str] = {}
    """Your own signals: name -> ``package.module:Class`` (see docs/architecture.md)."""
    resembles: dict[str, Resembles] = {}
    """Signals that tell how like some good examples a document is, by name."""
    external: dict[str, External] = {}
    """Signals that another tool gave, by name."""

    LATER: ClassVar[Mapping[str, Any]] = {
        "unit": "byte",
        "no_language": "own",
        "signals": {"perplexity": 1.0},
        "own": {},
        "contrast": None,
        "resembles": {},
        "gates": {},
        "external": {},
        "tokens_per_document": None,
        "student": None,
    }
    BUILT_IN: ClassVar[Mapping[str, str]] = {"rules": "samplemix_dagster.core.quality.rules:Rules"}
    """Signals that come along, beside perplexity, with what computes them."""

    @model_validator(mode="after")
    def _known_signals(self) -> "Quality":
        known = [CLEAN, *self.BUILT_IN, *self._named]
        others = [name for name in self.signals if name.startswith(UNDER)]
        compared = [PERPLEXITY, *others, *self._contrasted]
        check_exponents("signals", "signal", self.signals, [*compared, *known])
        check_exponents("gates", "signal", self.gates, known)
        for key in _NAMED:
            for name in getattr(self, key):
                check_name("signal", name)
                if name in {PERPLEXITY, CLEAN, *self.BUILT_IN, *self._contrasted}:
                    raise ValueError(f"{key}: {name!r} is a signal that comes along")
        for key, name in self._named_twice():
            raise ValueError(f"{key}: {name!r} is a signal of {self._named[name]}, too")
        if not self.weights:
            raise ValueError("signals: at least one signal needs a weight above 0")
        return self

    @property
    def _named(self) -> dict[str, str]:
        """The signals that a section names, with the key of the first that does."""
        every = [(name, key) for key in _NAMED for name in getattr(self, key)]
        return dict(reversed(every))

    def _named_twice(self) -> Iterator[tuple[str, str]]:
        for key in _NAMED:
            for name in sorted(getattr(self, key)):
                if self._named[name] != key:
                    yield key, name

    @property
    def _contrasted(self) -> tuple[str, ...]:
        return () if self.contrast is None else (CONTRAST,)

    @property
    def named_references(self) -> tuple[str, ...]:
        """The references of `perplexity:NAME`, whether they count or not."""
        return tuple(name.removeprefix(UNDER) for name in self.signals if name.startswith(UNDER))

    @property
    def every_reference(self) -> tuple[str, ...]:
        """The references that it names, the one that scores first, whether they count or not."""
        compared = () if self.contrast is None else (self.contrast.good, self.contrast.bad)
        return tuple(dict.fromkeys((self.reference, *self.named_references, *compared)))

    @property
    def other_references(self) -> tuple[str, ...]:
        """The references that signals which count read, beside the one that scores."""
        named = [name.removeprefix(UNDER) for name in self.weights if name.startswith(UNDER)]
        if self.contrast is not None and CONTRAST in self.weights:
            named += [self.contrast.good, self.contrast.bad]
        return tuple(name for name in dict.fromkeys(named) if name != self.reference)

    @property
    def most_tokens_read(self) -> int | None:
        """The most tokens of a document that the reference reads; None: as many as it has."""
        if self.tokens_per_document is None:
            return None
        return most_tokens_read(self.tokens_per_document, self.overlap_tokens)

    @property
    def weights(self) -> dict[str, float]:
        """The signals that count, with their exponents.

        Perplexity, contrast and those that a section names have 1 where none is stated, the others
        0; so have those that a section names where they are gates.
        """
        own = dict.fromkeys((*self._contrasted, *self.own, *self.resembles, *self.external), 1.0)
        gated = {name: 0.0 for name in self.gates if name in own}
        named = {PERPLEXITY: 1.0, **own, **gated, **self.signals}
        return {name: weight for name, weight in named.items() if weight > 0}

    @property
    def targets(self) -> dict[str, str]:
        """What computes each signal that counts, but for perplexity: ``module:Class`` by name."""
        every = {**self.BUILT_IN, **self.own}
        return {name: every[name] for name in self.used if name in every}

    @property
    def used(self) -> tuple[str, ...]:
        """The signals that count in either way, but for perplexity, each once."""
        named = [*self.weights, *(name for name, power in self.gates.items() if power > 0)]
        return tuple(name for name in dict.fromkeys(named) if name != PERPLEXITY)

    @model_validator(mode="after")
    def _learns_from_the_reference(self) -> "Quality":
        if self.student is not None and self.student.of != self.reference:
            raise ValueError(
                f"student.of is {self.student.of!r}, and the reference that scores is "
                f"{self.reference!r}: a student learns from that one"
            )
        return self

    @property
    def share_read(self) -> float:
        """The share of the documents that the reference reads itself, once a student has learnt."""
        return 1.0 if self.student is None else self.student.rescore_unsure

    @model_validator(mode="after")
    def _windows_move_on(self) -> "Quality":
        if self.context_tokens is not None and self.overlap_tokens >= self.context_tokens:
            raise ValueError(
                f"quality.overlap_tokens: {self.overlap_tokens} tokens of overlap leave nothing of "
                f"a window of {self.context_tokens}"
            )
        return self
