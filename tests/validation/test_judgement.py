"""Judgement: what trainings tell, and what they do not."""

import numpy as np
import numpy.typing as npt
import pytest

from samplemix_dagster.validation.verdicts.judgement import Judged, recovered

SEEDS, TEXTS = 8, 20


def judged(clean_gain: float, seeds: int = SEEDS) -> Judged:
    """Losses of three arms that share their luck: ``mine`` gains half of what ``clean`` does."""
    luck = np.random.default_rng(5)
    base = luck.normal(300.0, 5.0, size=(seeds, TEXTS))

    def losses(gain: float) -> npt.NDArray[np.float64]:
        return base - gain + luck.normal(0.0, 1.0, size=base.shape)

    nats = {
        ("proportional", 1.0): base,
        ("clean", 1.0): losses(clean_gain),
        ("mine", 1.0): losses(clean_gain / 2),
    }
    return Judged(
        groups=np.array(["web"] * TEXTS),
        num_bytes=np.full(TEXTS, 100),
        nats=nats,
        tokens=dict.fromkeys(nats, 1000.0),
        sets={"all": ["web"]},
    )


def test_what_is_recovered_is_a_share_of_what_the_ceiling_gains() -> None:
    found = judged(20.0)
    assert recovered(found, "mine", "proportional", "clean") == pytest.approx(0.5, abs=0.05)
    assert recovered(found, "clean", "proportional", "clean") == 1.0
    assert recovered(found, "proportional", "proportional", "clean") == 0.0


@pytest.mark.parametrize("gain", [0.0, -20.0])
def test_nothing_is_recovered_of_a_gain_that_is_not_shown(gain: float) -> None:
    assert recovered(judged(gain), "mine", "proportional", "clean") is None


def test_one_pair_shows_no_gain_to_recover() -> None:
    assert recovered(judged(20.0, seeds=1), "mine", "proportional", "clean") is None
