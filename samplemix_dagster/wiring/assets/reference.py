"""reference: a sample of the corpus, or a named model -> the model whose perplexity is quality."""

from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.engine.project import Project
from samplemix_dagster.wiring.assets.asset import Look
from samplemix_dagster.wiring.metadata import Metadata


def _present(project: Project, outcome: Outcome) -> Metadata:
    del project
    return {name: value for name, value in outcome.facts.items() if value is not None}


_HOW = {
    "": "a causal language model, found at the place that the configuration names, known by the "
    "digest of its files",
    "bootstrap": "a causal language model, trained here, for one epoch, on the documents with the "
    "smallest hashes; what it remembers of them is measured",
    "ngram": "counts of n-grams of the documents with the smallest hashes; each of them is left "
    "out of the counts while it is scored",
}


def look(name: str, made_from: str) -> Look:
    """Return what a person sees of a reference.

    Args:
        name: Its name.
        made_from: The key that makes it here; empty where it is named.
    """
    return Look(
        description=f"The reference {name!r}: {_HOW[made_from]}.",
        kinds=("python",) if made_from == "ngram" else ("pytorch", "huggingface"),
        present=_present,
    )
