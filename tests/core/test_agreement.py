import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import r2_score

from samplemix_dagster.core.quality.students.agreement import explained, spearman

pairs = st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=3, max_size=40).filter(
    lambda rows: all(len({row[k] for row in rows}) > 1 for k in (0, 1))
)


@given(pairs)
def test_both_measures_are_those_of_scipy_and_scikit_learn(rows: list[tuple[int, int]]) -> None:
    found, wanted = np.array(rows, dtype=np.float64).T
    assert spearman(found, wanted) == pytest.approx(spearmanr(found, wanted)[0], abs=1e-12)
    assert explained(found, wanted) == pytest.approx(r2_score(wanted, found), abs=1e-9)


@given(pairs)
def test_a_score_agrees_with_itself_and_its_opposite_does_not(rows: list[tuple[int, int]]) -> None:
    found = np.array(rows, dtype=np.float64)[:, 0]
    assert spearman(found, found) == pytest.approx(1)
    assert spearman(-found, found) == pytest.approx(-1)
    assert explained(found, found) == 1


@pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0, 2.0]])
def test_what_has_no_order_has_no_agreement(values: list[float]) -> None:
    array = np.array(values)
    assert spearman(array, array) is None
    assert explained(array, array) is None
