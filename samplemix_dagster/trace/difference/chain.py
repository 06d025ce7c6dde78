"""The states from version A to version B, each drawn from stored features: what a step changes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import (
    CheckFailedError,
    ConfigError,
    DegenerateSampleError,
    InfeasibleMixtureError,
    LakeError,
)
from samplemix_dagster.stages.mixture.drawing.draw import Draw
from samplemix_dagster.stages.mixture.drawing.drawn import MIXTURE
from samplemix_dagster.stages.mixture.mixing import draw_ledger
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.storage.lake.overlay import OverlayLake
from samplemix_dagster.trace.difference.causes import CAUSES
from samplemix_dagster.trace.difference.common_texts import CommonTexts
from samplemix_dagster.trace.difference.measures import Measures, add, measure, subtract
from samplemix_dagster.trace.remade.pinned import PinnedRecipes, pinned
from samplemix_dagster.trace.remade.state_maker import StateMaker
from samplemix_dagster.trace.remade.states import NotComputableError, State, state_of

UNEXPLAINED = "unexplained"
_MODELS = ("reference", "tokenizer", "encoder")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One cause, or several that cannot be told apart, and what they contribute."""

    causes: tuple[str, ...]
    change: Measures
    joined_because: str = ""
    """Why several causes stand together; empty for a single one."""


class Chain:
    """The states from A to B, each drawn from stored features."""

    def __init__(
        self, project: Project, lake: OverlayLake, a: Mapping[str, Any], b: Mapping[str, Any]
    ) -> None:
        self.project, self.lake, self.a, self.b = project, lake, a, b
        self.number = 0
        self.stored = tuple(
            measure(project.lake, folder_of(m), pinned(project, state_of(m), lake)) for m in (a, b)
        )
        self.matches: dict[str, bool | None] = {"a": None, "b": None}
        """Whether A and B, drawn again, are their stored ledgers; None: not computable."""
        self._parted_because = ""

    def steps(self) -> list[Step]:
        """Return the steps that change something, in order."""
        if self.a["version"] == self.b["version"]:
            return []
        start, goal = state_of(self.a), state_of(self.b)
        known = (start.refit[0], goal.refit[0])
        state = replace(start, refit=known)
        goal = replace(goal, refit=known[::-1])
        found: list[Step] = []
        measured = self._first(state, found)
        version, why = self.a["version"], ""
        pending: list[str] = []
        for cause, value in self._moves(state, goal):
            # Before its own step a refit may only give fits that were not there at all.
            candidate = state.moved(**{cause: value})
            if candidate == state:
                continue
            state = goal if candidate == goal else candidate
            try:
                address = self._address(state)
                if address == version:
                    continue
                version = address
                if cause not in pending:
                    pending.append(cause)
                drawn, digests = self._drawn(state)
            except NotComputableError as error:
                if cause not in pending:
                    pending.append(cause)
                why = why or str(error)
                continue
            found.append(_step(pending, subtract(drawn, measured), why))
            measured, pending, why = drawn, [], ""
            if address == self.b["version"]:
                self.matches["b"] = digests == self.b["ledger"]
        if pending or measured != self.stored[1]:
            rest = subtract(self.stored[1], measured)
            found.append(_step(pending or [UNEXPLAINED], rest, why))
        return _merged(found)

    def in_parts(self, step: Step) -> list[str]:
        """Say why a step was taken in two parts, if it was."""
        if step.causes != ("data",) or not self._parted_because:
            return []
        return [
            "what went was taken out before the models were replaced, and what came was put in "
            f"after, since {self._parted_because}"
        ]

    def _moves(self, start: State, goal: State) -> list[tuple[str, Any]]:
        """Return the inputs to replace, in order, each with its value."""
        moves = list(_one_by_one(start, goal))
        new_data = start.moved(data=goal.data)
        new_models = {cause: getattr(goal, cause) for cause in _MODELS}
        if start.moved(**new_models) == start:
            return moves
        try:
            StateMaker(self._pinned(new_data)).require_base()
        except NotComputableError as error:
            why = str(error)
        else:
            return moves
        common = CommonTexts(start, goal)
        try:
            data = common.data(self._pinned(new_data))
            if not data["shards"]:
                return moves
            between = start.moved(data=data)
            for state in (between, between.moved(**new_models)):
                common.fill(self._pinned(state))
                StateMaker(self._pinned(state)).require_base()
        except NotComputableError:
            return moves
        self._parted_because = why
        rest = [move for move in moves if move[0] not in {"data", *_MODELS}]
        return [("data", data), *new_models.items(), ("data", goal.data), *rest]

    @cached_property
    def _unknown(self) -> str:
        """Why no state between A and B can be worked out; empty when all can.

        What this code does not make of a version's settings any more, it cannot make of half of
        them either.
        """
        for manifest in (self.a, self.b):
            state = state_of(manifest)
            try:
                known = self._address(state.moved()) == manifest["version"]
            except NotComputableError:
                known = False
            if not known:
                name = f"{manifest['name']}@{manifest['version'][:12]}"
                return f"this code makes other recipes of the settings of {name} than its own did"
        return ""

    def _pinned(self, state: State) -> PinnedRecipes:
        return pinned(self.project, state, self.lake)

    def _first(self, state: State, found: list[Step]) -> Measures:
        """Draw A itself: a ledger that does not come out again is part of what is unexplained."""
        try:
            drawn, digests = self._drawn(state)
        except NotComputableError:
            return self.stored[0]
        self.matches["a"] = digests == self.a["ledger"]
        if drawn != self.stored[0]:
            rest = subtract(drawn, self.stored[0])
            found.append(Step(causes=(UNEXPLAINED,), change=rest))
        return drawn

    def _address(self, state: State) -> str:
        try:
            return MIXTURE.wanted(self._pinned(state), "pinned")
        except (KeyError, ConfigError) as error:
            raise NotComputableError(f"its settings do not go together: {error}") from None

    def _drawn(self, state: State) -> tuple[Measures, dict[str, str]]:
        """Return the measures and the file digests of a state's ledger.

        Raises:
            NotComputableError: It cannot be drawn from what is stored, or no such mixture exists.
        """
        if state.recorded is None and self._unknown:
            raise NotComputableError(self._unknown)
        recipes = self._pinned(state)
        self.number += 1
        folder = f"states/{self.number}"
        try:
            StateMaker(recipes).make()
            draw = Draw(recipes, "pinned")
            version = MIXTURE.wanted(recipes, "pinned")
            drawn = draw_ledger(draw, Lake(self.lake.root / folder), version)
            return measure(self.lake, folder, recipes), drawn.digests
        except (InfeasibleMixtureError, DegenerateSampleError, CheckFailedError) as error:
            raise NotComputableError(f"there is no such mixture: {error}") from error
        except LakeError as error:
            raise NotComputableError(str(error)) from error


def _one_by_one(start: State, goal: State) -> Iterator[tuple[str, Any]]:
    """Yield the inputs to replace; a label goes only after the dials that hold shares by it."""
    for cause in CAUSES:
        is_labels = cause == "labels"
        yield cause, {**start.labels, **goal.labels} if is_labels else getattr(goal, cause)
        if cause == "dials":
            yield "labels", goal.labels


def _step(pending: list[str], change: Measures, why: str) -> Step:
    joined = why if len(pending) > 1 else ""
    return Step(causes=tuple(pending), change=change, joined_because=joined)


def _merged(steps: list[Step]) -> list[Step]:
    """Add up the parts of one cause, at the place of the first."""
    merged: dict[tuple[str, ...], Step] = {}
    for step in steps:
        former = merged.get(step.causes)
        change = step.change if former is None else add(former.change, step.change)
        merged[step.causes] = replace(former or step, change=change)
    return list(merged.values())


def folder_of(manifest: Mapping[str, Any]) -> str:
    """Return the folder of a version."""
    """Return the folder of a version."""
    return keys.version_folder(manifest["name"], manifest["version"])
