"""Guests of a group: compared with it, and with no say in it unless they are the most there."""

import numpy as np
import pytest

from samplemix_dagster.core.calibrating.calibration import fit_calibration
from samplemix_dagster.core.calibrating.group_histograms import (
    GroupHistograms,
    group_histograms,
    with_guests,
)


def histograms(**values_by_group: np.ndarray) -> GroupHistograms:
    parts = [
        group_histograms(
            values,
            np.ones(values.size, dtype=np.int64),
            [name] * values.size,
            lower=0.0,
            upper=16.0,
        )
        for name, values in values_by_group.items()
    ]
    none = group_histograms(np.zeros(0), np.zeros(0, dtype=np.int64), [], lower=0.0, upper=16.0)
    return none.merge(*parts)


def spread(around: float, count: int) -> np.ndarray:
    return around + np.linspace(-0.5, 0.5, count)


def test_where_members_are_the_most_guests_change_nothing() -> None:
    members = histograms(**{"web/en": spread(2, 80), "web/de": spread(3, 50)})
    found = with_guests(members, histograms(web=spread(8, 120)))
    assert fit_calibration(found) == fit_calibration(members)


@pytest.mark.parametrize(("num_members", "num_guests"), [(0, 50), (39, 10), (100, 101)])
def test_where_they_are_not_guests_are_what_is_usual(num_members: int, num_guests: int) -> None:
    members = histograms(**{"web/en": spread(2, num_members)})
    guests = histograms(web=spread(8, num_guests))
    found = with_guests(members, guests)
    assert fit_calibration(found) == fit_calibration(members.merge(guests))


def test_each_group_asks_for_itself_and_the_whole_for_all() -> None:
    members = histograms(**{"web/en": spread(2, 80), "code/en": spread(3, 5)})
    guests = histograms(web=spread(8, 10), code=spread(1, 60))
    found = with_guests(members, guests)
    assert found.groups.keys() == {"web/en", "code/en", "code"}
    assert with_guests(members, histograms(**{"": spread(8, 60)})).groups.keys() == {
        "web/en",
        "code/en",
    }


def test_a_name_that_begins_alike_is_another_group() -> None:
    members = histograms(**{"website/en": spread(2, 80)})
    found = with_guests(members, histograms(web=spread(8, 10)))
    assert found.groups.keys() == {"website/en", "web"}


def test_other_bins_are_refused() -> None:
    other = group_histograms(np.ones(1), np.ones(1, dtype=np.int64), ["a"], lower=0.0, upper=1.0)
    with pytest.raises(ValueError, match="same bins"):
        with_guests(histograms(a=spread(2, 1)), other)
