"""reference: a sample of the corpus, or a named model -> the model whose perplexity is quality."""

from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.engine.project import Project
from samplemix_dagster.wiring.assets.asset import Look
from samplemix_dagster.wiring.metadata import Metadata


def _present(project: Project, outcome: Outcome) -> Metadata:
    del project
    return {name: value for name, value in outcome.facts.items() if value is not None}


def look(name: str, *, is_trained: bool) -> Look:
    """Return what a person sees of a reference."""
    made = (
        "trained here, for one epoch, on the documents with the smallest hashes; what it remembers "
        "of them is measured"
        if is_trained
        else "found at the place that the configuration names, known by the digest of its files"
    )
    return Look(
        description=f"The reference {name!r}: a causal language model, {made}.",
        kinds=("pytorch", "huggingface"),
        present=_present,
    )
