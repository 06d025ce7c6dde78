"""What scores cost beside what they save."""

import pytest

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.fitting.parameters import reference_parameters
from samplemix_dagster.storage.models.files import count_parameters
from samplemix_dagster.validation.choosing.corpus import read_corpus
from samplemix_dagster.validation.verdicts.break_even import pays_from, scoring_flops
from tests.projects import finished_project, needs_encoder, open_project


def test_at_the_break_even_the_saved_training_costs_what_scoring_costs() -> None:
    parameters = pays_from(6 * 10**15, needs=0.8, budget=10**9)
    assert parameters is not None
    assert 6 * parameters * 0.2 * 10**9 == pytest.approx(6 * 10**15, rel=1e-6)


@pytest.mark.parametrize(
    ("flops", "needs", "budget"),
    [(None, 0.5, 1), (1, None, 1), (1, 0.5, None), (1, 1.0, 1), (1, 1.2, 1)],
)
def test_what_saves_nothing_or_is_not_known_pays_never(
    flops: int | None, needs: float | None, budget: int | None
) -> None:
    assert pays_from(flops, needs, budget) is None


@needs_encoder
def test_scoring_costs_two_operations_a_parameter_and_token() -> None:
    recipes = Recipes(open_project(finished_project()))
    corpus = read_corpus(recipes)
    reference = reference_parameters(recipes.lake, recipes.config.quality.reference)
    encoder = count_parameters(recipes.encoder_folder)
    assert reference is not None
    assert 20e6 < encoder < 25e6  # all-MiniLM-L6-v2 has 22.7 million
    tokens = corpus.pool.tokens
    most = recipes.config.encoder.max_tokens
    wanted = 2 * (reference * tokens.sum() + encoder * tokens.clip(max=most).sum())
    assert scoring_flops(recipes, corpus) == wanted
