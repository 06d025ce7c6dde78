"""The causes of a difference, in the order of the pipeline, and what a person calls them."""

from collections.abc import Sequence

MEANING = {
    "data": "data",
    "reference": "the reference",
    "tokenizer": "the tokenizer",
    "encoder": "the encoder",
    "refit": "the refit",
    "settings": "the settings of scores",
    "labels": "the labels",
    "exclusions": "what is excluded",
    "dials": "the settings of the mixture",
    "budget": "the budget",
    "after": "what was consumed before",
    "seed": "the seed",
    "code": "the code",
    "unexplained": "nothing that is known",
}
"""Each cause as a person says it."""


CAUSES = tuple(cause for cause in MEANING if cause != "unexplained")
"""Every cause, in the order of the pipeline."""


def cause_name(causes: Sequence[str]) -> str:
    """Return causes that stand together as a person says them."""
    words = [MEANING[cause] for cause in causes]
    if len(words) == 1:
        return words[0]
    return f"{', '.join(words[:-1])} and {words[-1]} together"
