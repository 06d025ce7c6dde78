"""What scoring costs beside the training that it is for.

A forward pass takes two operations a parameter and token, a training step six (Kaplan et al. 2020,
"Scaling laws for neural language models", section 2.1). What is counted: the reference over every
token of the corpus, its bootstrap where it was trained here, the encoder over the first tokens of
every document. Fits, reading and drawing are no model's work and small beside these.
"""

import numpy as np

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.fitting.parameters import reference_parameters
from samplemix_dagster.storage.models.files import count_parameters
from samplemix_dagster.validation.choosing.corpus import JudgedCorpus

FORWARD = 2
TRAINING = 6


def scoring_flops(recipes: Recipes, corpus: JudgedCorpus) -> int | None:
    """Return the operations of scoring the corpus once; None where a model's size is not known."""
    config = recipes.config
    name = config.quality.reference
    reference = reference_parameters(recipes.lake, name)
    encoder = count_parameters(recipes.encoder_folder)
    if reference is None:
        return None
    tokens = corpus.pool.tokens
    bootstrap = config.references[name].bootstrap
    trained = 0 if bootstrap is None else TRAINING * reference * bootstrap.tokens
    seen = int(np.minimum(tokens, config.encoder.max_tokens).sum())
    return trained + FORWARD * (reference * int(tokens.sum()) + encoder * seen)


def pays_from(flops: int | None, needs: float | None, budget: int | None) -> int | None:
    """Return from how many parameters on the training that is saved costs more than the scores.

    Args:
        flops: What the scores cost.
        needs: Share of the baseline's tokens with which an arm reaches its loss.
        budget: Tokens of the real run.

    Returns:
        Parameters; None where nothing is saved, or something is not known.
    """
    if flops is None or needs is None or budget is None or needs >= 1.0:
        return None
    saved = (1.0 - needs) * budget
    return round(flops / (TRAINING * saved))
