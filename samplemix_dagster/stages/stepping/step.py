"""A step: one asset, what it fills and on what it depends."""

from collections.abc import Iterable
from dataclasses import dataclass

from samplemix_dagster.config.project import Config
from samplemix_dagster.engine.stages import WHOLE_CORPUS, FitStage, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One asset: what it fills and on what it depends; ``doing.py`` runs it."""

    asset: str
    group: str
    deps: tuple[str, ...]
    stages: tuple[Stage, ...] = ()
    """Per-shard stages that it fills; such a step is partitioned by source."""
    fit: FitStage | None = None
    name: str = ""
    """Which reference or mixture, where there are several."""
    export: str = ""
    """Which of a mixture's exports, where there are several."""
    code_version: str = "1"
    waits: tuple[str, ...] = WHOLE_CORPUS
    """Assets that are to be complete before it runs, though it may not read them."""
    phase: int = 0
    """Steps of one phase can go into one run; a later phase needs the earlier ones complete."""
    uses_model: bool = False
    words: str = ""
    """What a person reads of it, in a sentence."""

    @property
    def uses_device(self) -> bool:
        """Whether a model computes in it; a reference from elsewhere is only looked at."""
        return self.uses_model and bool(self.deps)

    @property
    def is_partitioned(self) -> bool:
        """Whether it runs by source."""
        return bool(self.stages)

    @property
    def is_published(self) -> bool:
        """Whether what it makes becomes current only when its checks hold."""
        return self.fit is not None and self.fit.is_published

    def is_given(self, config: Config) -> bool:
        """Whether it looks at what stands somewhere already, and needs no corpus."""
        return self.fit is not None and self.fit.is_given(config, self.name)


GROUPS = ("shards", "reference", "quality", "diversity", "beta", "mixture", "export", "report")
"""Stage words, in order; ``--select`` takes them."""


def select_steps(
    steps: Iterable[Step], groups: Iterable[str] | None, mixtures: Iterable[str] | None
) -> list[Step]:
    """Return the steps of some stages and mixtures, with everything that they depend on."""
    every = list(steps)
    wanted = {
        step.asset
        for step in every
        if (groups is None or step.group in set(groups))
        and (mixtures is None or step.group not in {"mixture", "export"} or step.name in mixtures)
    }
    for step in reversed(every):
        if step.asset in wanted:
            wanted |= set(step.deps)
    return [step for step in every if step.asset in wanted]
