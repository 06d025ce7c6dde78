"""Promises hold on the documents to .001, and wished means are met."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.core.beta.law import BivariateBeta
from samplemix_dagster.core.beta.plane import Plane, merge, plane_of, squeeze
from samplemix_dagster.core.mixture.dials import (
    Dials,
    promise,
    solve_dials,
    weights_of_dials,
)
from samplemix_dagster.core.mixture.scale.settle import estimated_scale
from samplemix_dagster.errors import ConfigError, DegenerateSampleError

LAWS = {
    "bell": BivariateBeta(a_quality=2, b_quality=3, a_diversity=4, b_diversity=2, rho=-0.5),
    "u-shaped": BivariateBeta(
        a_quality=0.4, b_quality=0.3, a_diversity=0.5, b_diversity=0.6, rho=0.6
    ),
}
SIZE = 100_000


def documents(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    draws = squeeze(LAWS[name].sample(rng.random((SIZE, 2))), SIZE)
    return draws[:, 0], draws[:, 1], rng.integers(1, 2000, SIZE)


DOCUMENTS = {name: documents(name) for name in LAWS}
PLANES = {name: plane_of(*DOCUMENTS[name]) for name in LAWS}


def means(name: str, weights: np.ndarray) -> tuple[float, float]:
    q, d, t = DOCUMENTS[name]
    return float(np.average(q, weights=weights * t)), float(np.average(d, weights=weights * t))


# A U-shaped corpus has a tenth of its tokens in one bin, and q and d depend inside it too.
@pytest.mark.parametrize(("name", "tolerance"), [("bell", 5e-4), ("u-shaped", 3e-3)])
@settings(deadline=None, max_examples=20)
@given(quality=st.floats(0.0, 4.0), diversity=st.floats(0.0, 4.0), flip=st.booleans())
def test_promised_means_are_the_documents_means(
    name: str, tolerance: float, quality: float, diversity: float, flip: bool
) -> None:
    q, d, _ = DOCUMENTS[name]
    found = promise(
        PLANES[name],
        weights_of_dials(
            PLANES[name], Dials(quality=quality, diversity=diversity, flip_quality=flip)
        ),
    )
    weights = (1.0 - q if flip else q) ** quality * d**diversity
    assert (found.mean_quality, found.mean_diversity) == pytest.approx(
        means(name, weights), abs=tolerance
    )


@pytest.mark.parametrize(("name", "dial"), [("bell", -0.5), ("bell", -1.0), ("u-shaped", -0.1)])
def test_mild_negative_dials_keep_their_promise(name: str, dial: float) -> None:
    q, _, _ = DOCUMENTS[name]
    found = promise(PLANES[name], weights_of_dials(PLANES[name], Dials(quality=dial, diversity=0)))
    # Few documents next to 0 carry much of the weight: the sample is uncertain to some .001.
    assert (found.mean_quality, found.mean_diversity) == pytest.approx(
        means(name, q**dial), abs=5e-3
    )


@pytest.mark.parametrize(("name", "dial"), [("bell", -1.5), ("u-shaped", -0.2)])
def test_strong_negative_dials_promise_the_tilted_beta(name: str, dial: float) -> None:
    # The weights' variance is infinite, so no sample shows the mean; Beta(a + l, b) has it.
    law = LAWS[name]
    found = promise(PLANES[name], weights_of_dials(PLANES[name], Dials(quality=dial, diversity=0)))
    a = law.a_quality + dial
    assert found.mean_quality == pytest.approx(a / (a + law.b_quality), abs=1e-2)


def test_the_effective_sample_is_the_documents() -> None:
    q, d, t = DOCUMENTS["bell"]
    weights = q**2 * d
    expected = (weights * t).sum() ** 2 / (weights**2 * t).sum() / t.sum()
    dials = Dials(quality=2.0, diversity=1.0)
    found = promise(PLANES["bell"], weights_of_dials(PLANES["bell"], dials))
    assert found.effective_sample_share == pytest.approx(expected, abs=1e-3)
    assert found.effective_sample_tokens == pytest.approx(expected * t.sum(), rel=2e-3)


def test_the_kl_is_the_documents() -> None:
    q, d, t = DOCUMENTS["bell"]
    shares = q**2 * d * t / (q**2 * d * t).sum()
    expected = (shares * np.log(shares / (t / t.sum()))).sum()
    dials = Dials(quality=2.0, diversity=1.0)
    found = promise(PLANES["bell"], weights_of_dials(PLANES["bell"], dials))
    assert found.kl_nats == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("scale", [0.3, 1.5, 4.0])
def test_a_cap_is_in_the_promise(scale: float) -> None:
    q, _, t = DOCUMENTS["bell"]
    weights = q**3 / np.average(q**3, weights=t)
    plane = PLANES["bell"]
    tilt = weights_of_dials(plane, Dials(quality=3.0, diversity=0.0))
    found = promise(plane, tilt, scale=scale, max_copies=2)
    copies = np.minimum(2.0, scale * weights)
    assert (found.mean_quality, found.mean_diversity) == pytest.approx(
        means("bell", copies), abs=1e-3
    )


def test_dials_of_zero_promise_the_corpus() -> None:
    found = promise(PLANES["bell"], weights_of_dials(PLANES["bell"], Dials(quality=0, diversity=0)))
    assert found.mean_quality == pytest.approx(PLANES["bell"].mean_quality, abs=1e-4)
    assert found.kl_nats == pytest.approx(0.0, abs=1e-9)
    assert found.effective_sample_share == pytest.approx(1.0)


@settings(deadline=None, max_examples=20)
@given(quality=st.floats(-1.0, 6.0), diversity=st.floats(-2.0, 6.0))
def test_solving_for_promised_means_gives_the_dials_back(quality: float, diversity: float) -> None:
    plane = PLANES["bell"]
    wished = promise(plane, weights_of_dials(plane, Dials(quality=quality, diversity=diversity)))
    found = solve_dials(
        plane, mean_quality=wished.mean_quality, mean_diversity=wished.mean_diversity
    )
    assert (found.quality, found.diversity) == pytest.approx((quality, diversity), abs=1e-4)


@settings(deadline=None, max_examples=20)
@given(quality=st.floats(-1.0, 6.0), diversity=st.floats(-2.0, 6.0))
def test_a_wish_for_one_mean_leaves_the_other_dial(quality: float, diversity: float) -> None:
    plane = PLANES["bell"]
    wished = promise(plane, weights_of_dials(plane, Dials(quality=quality, diversity=diversity)))
    others = Dials(quality=9.0, diversity=diversity)
    found = solve_dials(plane, mean_quality=wished.mean_quality, others=others)
    assert found.quality == pytest.approx(quality, abs=1e-4)
    assert found.diversity == pytest.approx(diversity, abs=1e-6)


def test_means_that_no_mixture_has_are_refused_with_the_range() -> None:
    with pytest.raises(ConfigError, match=r"quality alone reaches 0\.\d+ to 0\.\d+"):
        solve_dials(PLANES["bell"], mean_quality=0.999, mean_diversity=0.5)


def test_the_law_bounds_negative_dials() -> None:
    with pytest.raises(ConfigError, match=r"no dials give mean quality 0\.02"):
        solve_dials(PLANES["bell"], mean_quality=0.02, mean_diversity=0.6, law=LAWS["bell"])


@pytest.mark.parametrize("share", [0.1, 0.9, 1.7])
def test_the_estimated_scale_spends_the_budget(share: float) -> None:
    plane = PLANES["bell"]
    q, d, t = DOCUMENTS["bell"]
    tilt = weights_of_dials(plane, Dials(quality=2.0, diversity=1.0))
    scale = estimated_scale(plane, tilt, int(share * plane.num_tokens), 2)
    weights = q**2 * d / np.average(q**2 * d, weights=t)
    spent = (np.minimum(2.0, scale * weights) * t).sum()
    assert spent == pytest.approx(share * plane.num_tokens, rel=2e-3)


def test_no_scale_spends_more_than_there_is() -> None:
    tilt = weights_of_dials(PLANES["bell"], Dials(quality=1.0, diversity=1.0))
    assert estimated_scale(PLANES["bell"], tilt, 3 * PLANES["bell"].num_tokens, 2) == np.inf


def test_an_empty_plane_promises_nothing() -> None:
    empty: Plane = merge([])
    with pytest.raises(DegenerateSampleError, match="0 tokens"):
        promise(empty, weights_of_dials(empty, Dials(quality=1.0, diversity=1.0)))
