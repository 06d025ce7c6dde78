"""Gates: what multiplies a calibrated score, and what shares they leave."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.core.diversity.combine import LEAST, gated
from samplemix_dagster.core.mixture.shares import held_shares
from samplemix_dagster.stages.mixture.drawing.kept import kept_parts

inside = st.floats(1e-6, 1.0 - 1e-6)


@settings(deadline=None)
@given(st.lists(st.tuples(inside, inside, inside), min_size=1), st.floats(0, 8), st.floats(0, 8))
def test_a_gated_score_is_the_product_and_never_more_than_it_was(
    rows: list[tuple[float, float, float]], first: float, second: float
) -> None:
    values, one, other = np.array(rows).T
    found = gated(values, {"b": (other, second), "a": (one, first)})
    np.testing.assert_allclose(found, np.maximum(LEAST, values * one**first * other**second))
    assert (found <= values * (1 + 1e-12)).all()
    np.testing.assert_array_equal(found, gated(values, {"a": (one, first), "b": (other, second)}))


def test_without_gates_and_at_exponent_0_a_score_stays() -> None:
    values = np.array([0.2, 0.9])
    np.testing.assert_allclose(gated(values, {}), values)
    np.testing.assert_allclose(gated(values, {"a": (np.array([0.1, 0.5]), 0.0)}), values)


def test_a_gate_outside_of_0_and_1_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'odd' has 1 outside"):
        gated(np.array([0.5]), {"odd": (np.array([1.0]), 2.0)})


def test_a_source_whose_documents_pass_at_half_keeps_half_of_its_place() -> None:
    tokens = np.array([100, 300])
    table = pa.table({"clean_score": [0.5, 0.5]})
    half = int(kept_parts(table, tokens, ["clean_score"]).sum())
    whole = int(kept_parts(table, tokens, []).sum())
    assert half * 2 == whole == 400 * 1024
    shares = held_shares("kept", {"a": half, "b": whole})
    assert shares is not None
    assert float(shares["b"]) == pytest.approx(2 / 3)
