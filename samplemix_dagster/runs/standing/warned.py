"""What a person has to know and that stops nothing."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """Something that a person has to know and that stops nothing."""

    kind: str
    """``rejected``, ``no_document``, ``few_documents``, ``shard``, ``truncated``, ``unread``,
    ``folder``, ``unjoined``, ``encoder``, ``check`` or ``workers``."""
    where: str
    """The source, or the asset."""
    words: str

    def to_json(self) -> dict[str, str]:
        """Return a JSON value."""
        return {"kind": self.kind, "where": self.where, "words": self.words}

    @property
    def sentence(self) -> str:
        """Return it as a person reads it."""
        return f"{self.where}: {self.words}"


def as_json(warned: Sequence[Warned]) -> list[dict[str, str]]:
    """Return warnings as JSON values."""
    return [entry.to_json() for entry in warned]
