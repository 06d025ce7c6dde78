"""What no version may draw, beside what ``takedown.jsonl`` names: the section ``exclude``."""

from pydantic import Field, field_validator, model_validator

from samplemix_dagster.config.corpus import Source
from samplemix_dagster.config.scoring.signals import Joined, Label
from samplemix_dagster.section import Section, check_name


class Outside(Joined):
    """Labels or scores that another tool gave, of which some keep a document out."""

    values: list[Label] = []
    """Labels that keep a document out."""
    below: float | None = None
    """Scores below this one keep a document out."""
    above: float | None = None
    """Scores above this one keep a document out."""

    @model_validator(mode="after")
    def _asks_one_thing(self) -> "Outside":
        is_number = self.below is not None or self.above is not None
        if bool(self.values) == is_number:
            raise ValueError(
                "name the labels that keep a document out (`values`), or the scores that do "
                "(`below`, `above`)"
            )
        if self.below is not None and self.above is not None and self.below > self.above:
            raise ValueError(
                f"below {self.below:g} and above {self.above:g} keep every document out"
            )
        return self


class Exclude(Section):
    """What no version may draw; what is taken down stands in `takedown.jsonl`."""

    evaluation: dict[str, str | list[str] | Source] = {}
    """Sets of an evaluation: files by set. Documents that hold text of one are not drawn. A row's
    fields are its text; with `{path: ..., text: FIELD}` that field alone."""
    ngram: int = Field(default=13, ge=5, le=64)
    """Words in a row of an item that make a document one that holds it."""
    shortest: int = Field(default=5, ge=1, le=64)
    """An item without so long a field is looked for whole, by its longest; below so many words it
    is not looked for."""

    share: float = Field(default=0.0, ge=0, le=1)
    """Of what is looked for of an item, how much must stand in a document; 0: one place is enough.
    A higher one leaves in what shares a footer with an item."""

    external: dict[str, Outside] = {}
    """What another tool says must not be drawn: labels or scores, by name."""

    @field_validator("evaluation", "external")
    @classmethod
    def _names(cls, named: dict[str, object]) -> dict[str, object]:
        for name in named:
            check_name("set", name)
        return dict(named)

    @model_validator(mode="after")
    def _shortest_is_shorter(self) -> "Exclude":
        if self.shortest > self.ngram:
            raise ValueError(
                f"exclude.shortest: {self.shortest} words are more than ngram, {self.ngram}"
            )
        return self

    def source(self, name: str) -> Source:
        """Return how the files of a set are read."""
        found = self.evaluation[name]
        return found if isinstance(found, Source) else Source(path=found)

    def field(self, name: str) -> str | None:
        """Return the field of a set's rows that is looked for; None: all that hold text."""
        found = self.evaluation[name]
        if isinstance(found, Source) and "text" in found.model_fields_set:
            return found.text
        return None
