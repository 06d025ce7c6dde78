"""The order of steps comes from what they need, and so does what goes into one run."""

from dataclasses import dataclass
from graphlib import CycleError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplemix_dagster.stages.stepping.order import in_order, phase_of


@dataclass(frozen=True)
class Node:
    """A step of nobody's flow."""

    asset: str
    deps: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()
    is_partitioned: bool = True


@st.composite
def flows(draw: st.DrawFn) -> list[Node]:
    """Steps that each need some of those before them, shuffled."""
    nodes: list[Node] = []
    for number in range(draw(st.integers(0, 12))):
        before = [node.asset for node in nodes]
        some = st.lists(st.sampled_from(before), unique=True, max_size=3) if before else st.just([])
        node = Node(f"{number}", tuple(draw(some)), tuple(draw(some)), draw(st.booleans()))
        nodes.append(node)
    return draw(st.permutations(nodes))


def phases(steps: list[Node]) -> dict[str, int]:
    found: dict[str, int] = {}
    for step in in_order(steps):
        found[step.asset] = phase_of(step, found)
    return found


@given(flows())
def test_every_step_stands_once_and_after_all_that_it_needs(steps: list[Node]) -> None:
    found = list(in_order(steps))
    assert sorted(found, key=str) == sorted(steps, key=str)
    place = {step.asset: number for number, step in enumerate(found)}
    assert all(place[need] < place[s.asset] for s in steps for need in (*s.deps, *s.waits))


@given(flows())
def test_steps_that_stand_in_order_stay_as_they_stand(steps: list[Node]) -> None:
    once = list(in_order(steps))
    assert list(in_order(once)) == once


@given(flows())
def test_a_run_has_steps_of_one_kind_and_never_one_that_is_waited_for(steps: list[Node]) -> None:
    found = phases(steps)
    for step in steps:
        assert found[step.asset] % 2 == (not step.is_partitioned)
        assert all(found[need] <= found[step.asset] for need in step.deps)
        assert all(found[need] < found[step.asset] for need in step.waits)


@given(flows())
def test_no_step_could_be_made_in_an_earlier_run_of_its_kind(steps: list[Node]) -> None:
    found = phases(steps)
    for step in steps:
        earlier = found[step.asset] - 2
        holds_back = [found[need] > earlier for need in step.deps]
        holds_back += [found[need] >= earlier for need in step.waits]
        assert earlier < 0 or any(holds_back)


def test_steps_that_need_one_another_are_refused() -> None:
    with pytest.raises(CycleError):
        list(in_order([Node("a", ("b",)), Node("b", ("a",))]))
