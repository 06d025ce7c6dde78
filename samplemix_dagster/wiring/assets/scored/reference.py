"""reference: a sample of the corpus, or a named model -> the model whose perplexity is quality."""

from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.stages import Facts
from samplemix_dagster.wiring.assets.asset import Look
from samplemix_dagster.wiring.metadata import Metadata

_LAST = ("kind", "model_digest")


def _present(project: Project, outcome: Outcome) -> Metadata:
    del project
    facts = {name: value for name, value in outcome.facts.items() if value is not None}
    last = {name: facts.pop(name) for name in _LAST if name in facts}
    return {**_in_words(facts), **facts, **last}


def _in_words(facts: Facts) -> Metadata:
    """Return what was read, and how it knows that better than what it has not seen."""
    words = {}
    if "num_training_tokens" in facts:
        words["read"] = (
            f"{facts['num_training_tokens']:,} tokens of {facts['num_training_documents']:,} "
            "documents"
        )
    if "num_near_duplicates" in facts:
        words["read"] += f"; their near-duplicates, not counted: {facts['num_near_duplicates']:,}"
    if facts.get("cross_fit"):
        words["read"] += ", by the second of two: each learns one half, and scores the other"
    if "held_out_bits_per_byte" in facts:
        words["bits_per_byte"] = (
            f"{facts['held_out_bits_per_byte']:.3f} on documents that are left out of the counts; "
            f"{facts['bits_per_byte_with_itself']:.3f} if they were not"
        )
    if "memorisation_gap_bits_per_byte" in facts:
        gap = facts["memorisation_gap_bits_per_byte"]
        words["knows_its_own_documents"] = f"by {gap:.3f} bits per byte better than unseen ones"
    return dict(words)


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
