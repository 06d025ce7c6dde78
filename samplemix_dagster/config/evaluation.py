"""What is judged, by whom, and how often: the section ``evaluation``.

Nothing here changes a mixture, so none of it is part of a version.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator, model_validator

from samplemix_dagster.config.corpus import Source
from samplemix_dagster.core.learners.sizes import SIZES
from samplemix_dagster.section import Section, Seed, Size, check_name, check_one_of


def _is_size(name: str) -> str:
    return check_one_of("size", name, SIZES)


_SIZE_NAMES = WithJsonSchema({"type": "string", "enum": list(SIZES)})


class Evaluation(Section):
    """Which mixture trains the better model."""

    texts: dict[str, str | list[str] | Source] = {}
    """Groups of texts held out from the sources: files by group, read as a source's are."""
    sets: dict[str, list[str]] = {}
    """Sets of groups that are judged together, each group counting alike; ``all`` is always one."""
    tasks: dict[str, str | list[str]] = {}
    """Files of questions with answers, or a task file of lm-eval, by task; judged beside texts."""
    arms: list[str] = []
    """What ``samplemix evaluate`` judges when it is told no arm; all mixtures when empty."""
    labels: str | None = None
    """Labels of a dirty pool, as ``samplemix dirty`` writes them: says how much is recovered."""
    learner: Literal["ngram", "transformer"] = "ngram"
    """What is trained on each draw."""
    order: int = Field(default=3, ge=2, le=5)
    """Tokens of the n-gram learner's longest gram."""
    size: Annotated[str, AfterValidator(_is_size), _SIZE_NAMES] = next(iter(SIZES))
    """Parameters of the transformer learner, without embeddings."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Its peak; the size's own when not given."""
    weight_decay: float = Field(default=0.1, ge=0)
    """Of its matrices."""
    weight_decays: list[float] = [0.1, 0.3, 1.0]
    """Tried beside it for an arm that repeats documents, which wants more; none when empty."""
    context_tokens: int = Field(default=256, ge=16, le=8192)
    """Tokens that it sees at once."""
    second_judge: bool = True
    """Whether a second transformer, at a very small rate, must agree; else it is undecided."""
    budget_tokens: Size = Field(default=2_000_000, ge=1)
    """Tokens that each learner reads."""
    seeds: int = Field(default=8, ge=1, le=64)
    """Pairs of draws; fewer than 8 are a look, not a claim."""
    seed: Seed = 0
    """The first seed."""
    pool: Literal["auto"] | float = "auto"
    """Part of the corpus to draw from; ``auto``: such that copies are as rare as in a mixture."""
    ladder: list[float] = [0.5, 0.75, 1.5]
    """Further budgets, as multiples, that tell how many tokens one arm needs to match another."""
    documents: int = Field(default=100, ge=2)
    """Texts of each group and items of each task at most, chosen by hash."""
    piece_characters: Size = Field(default=2_000, ge=100)
    """Of a longer text a piece is judged, from a place chosen by hash."""
    max_overlap: float = Field(default=0.3, ge=0, le=1)
    """A text of which more 13-grams stand in the corpus is refused: it is not held out."""

    @field_validator("texts")
    @classmethod
    def _names(cls, texts: dict[str, str | list[str] | Source]) -> dict[str, object]:
        for name in texts:
            check_name("group", name)
        return dict(texts)

    @field_validator("pool")
    @classmethod
    def _is_share(cls, pool: float | str) -> float | str:
        if isinstance(pool, float | int) and not 0 < pool <= 1:
            raise ValueError(f"`auto`, or a share above 0 and at most 1, not {pool}")
        return pool

    @field_validator("ladder")
    @classmethod
    def _ascends(cls, ladder: list[float]) -> list[float]:
        if any(rung <= 0 or rung == 1 for rung in ladder):
            raise ValueError("a rung is a multiple of budget_tokens above 0; 1 is always there")
        return sorted(set(ladder))

    @field_validator("weight_decays")
    @classmethod
    def _are_decays(cls, decays: list[float]) -> list[float]:
        if any(decay < 0 for decay in decays):
            raise ValueError("a weight decay is 0 or more")
        return sorted(set(decays))

    @model_validator(mode="after")
    def _groups_have_names_of_their_own(self) -> "Evaluation":
        for name in self.texts:
            if name in {"all", "tasks"}:
                raise ValueError(
                    f"texts: {name!r} is what all groups, or all tasks, are called together; give "
                    "this group another name"
                )
        return self

    @model_validator(mode="after")
    def _sets_name_groups(self) -> "Evaluation":
        for name, groups in self.sets.items():
            check_name("set", name)
            if name in {*self.every_group, "all", *(["tasks"] if self.tasks else [])}:
                raise ValueError(f"sets: {name!r} is taken")
            for group in groups:
                if group not in self.texts:
                    raise ValueError(f"sets.{name}: no group {group!r}")
            if not groups:
                raise ValueError(f"sets.{name}: a set has a group at least")
        return self

    @model_validator(mode="after")
    def _tasks_have_names_of_their_own(self) -> "Evaluation":
        for name in self.tasks:
            check_name("task", name)
            if name in {"all", "tasks"} or name in self.texts:
                raise ValueError(
                    f"tasks: {name!r} is taken, by a group of texts or by what all are called"
                )
        return self

    def source(self, group: str) -> Source:
        """Return how the files of a group are read."""
        found = self.texts[group]
        return found if isinstance(found, Source) else Source(path=found)

    @property
    def every_group(self) -> list[str]:
        """Groups of texts, then tasks."""
        return [*self.texts, *self.tasks]

    @property
    def every_set(self) -> dict[str, list[str]]:
        """Sets by name: ``all`` texts first, then ``tasks`` where there are any."""
        tasks = {"tasks": list(self.tasks)} if self.tasks else {}
        return {"all": list(self.texts), **tasks, **self.sets}
