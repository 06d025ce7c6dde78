"""What the scores cost beside the training that they save, and what arms that repeat were given."""

from collections.abc import Iterator

from samplemix_dagster.show.evaluated.judgement_words import ALL, Found, contenders, verdict_of
from samplemix_dagster.show.presentation import flops_in_words, many


def worth_sentences(found: Found) -> list[str]:
    """Return what scoring costs, and for each mixture from which size of model on it pays.

    Nothing where the cost of scoring is not known, or no mixture was judged.
    """
    flops = found.get("scoring_flops")
    versions = [name for name in contenders(found) if "version" in found["arms"][name]["what"]]
    if flops is None or not versions:
        return []
    first = f"Scoring the corpus once takes {flops_in_words(flops)}."
    return [first, *(_worth(found, name) for name in versions)]


def _worth(found: Found, name: str) -> str:
    parameters = found["arms"][name].get("pays_from_parameters")
    if verdict_of(found, name, ALL) != "better":
        return f"{name} is not shown to save any training, so nothing is shown to pay for it."
    if parameters is None:
        return f"{name} is better, but its rungs do not tell how much training it saves."
    return (
        f"{name} needs {found['arms'][name]['groups'][ALL]['needs']:.0%} of {found['baseline']}'s "
        f"tokens: what it saves of its own budget is more than the scores cost for a model of "
        f"{many(parameters)} parameters or more."
    )


def decay_sentences(found: Found) -> Iterator[str]:
    """Yield of each arm that repeats documents which weight decay it was judged at, of which."""
    tried: dict[str, list[float]] = {}
    for one in found.get("weight_decays", []):
        tried.setdefault(one["arm"], []).append(one["weight_decay"])
    for name, decays in tried.items():
        yield (
            f"{name} repeats documents: of the weight decays "
            f"{', '.join(f'{decay:g}' for decay in decays)} it is judged at "
            f"{found['arms'][name]['weight_decay']:g}, which taught most on a draw of its own."
        )
