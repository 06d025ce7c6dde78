"""What an evaluation costs and found, for the terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from samplemix_dagster.show.evaluated.judged_tasks import print_tasks
from samplemix_dagster.show.evaluated.judgement_facts import auc_table, cost_words, kinds_table
from samplemix_dagster.show.evaluated.judgement_words import (
    ALL,
    Found,
    cautions,
    claims,
    controls_rows,
    domain_rows,
    figures_columns,
    figures_row,
    group_title,
    groups_of,
    interval,
    signed,
    with_controls,
)
from samplemix_dagster.show.evaluated.judgement_worth import decay_sentences, worth_sentences
from samplemix_dagster.show.presentation import duration, flops_in_words
from samplemix_dagster.show.printed_table import print_table
from samplemix_dagster.show.terminal import print_lines


def cost_line(cost: Mapping[str, Any]) -> str:
    """Return what an evaluation costs, in a sentence or two; the time where it is foreseen."""
    if not cost["trainings"]:
        return f"All {cost['of']:,} trainings stand in the lake; nothing is trained."
    flops = f", {flops_in_words(cost['flops'])}" if cost.get("flops") else ""
    words = (
        f"{cost['trainings']:,} of {cost['of']:,} trainings are to be made, "
        f"{cost['tokens']:,} tokens together{flops}."
    )
    if "estimated_seconds" not in cost:
        return words
    return (
        f"{words} About {duration(max(1.0, cost['estimated_seconds']))}: {cost['estimated_from']}."
    )


def print_judged(found: Found) -> None:
    """Print what was found: what may be claimed, then the figures, then what is known besides."""
    print_lines(_head(found))
    print_lines([*(sentence for _, sentence in claims(found)), ""])
    for group in groups_of(found)[0]:
        _print_set(found, group)
    print_tasks(found)
    _print_own_part(found)
    print_lines(_domains(found))
    _print_truth(found)
    if found["strength"] == "look":
        print_lines([f"{found['seeds']} pairs are a look; a claim needs 8 (--seeds 8)."])
    print_lines([*cautions(found), *decay_sentences(found), cost_words(found)])
    print_lines(worth_sentences(found))


def _head(found: Found) -> Iterator[str]:
    texts = sum(entry["texts"] for entry in found["texts"].values())
    refused = sum(entry["refused"] for entry in found["texts"].values())
    yield (
        f"{found['learner']} learner, {found['seeds']} pairs of draws of "
        f"{found['budget_tokens']:,} tokens from {found['pool']:.0%} of the corpus, judged on "
        f"{texts:,} held-out texts in {len(found['texts'])} groups."
    )
    if refused:
        yield f"{refused:,} texts stand in the corpus and were refused."
    if rejected := sum(entry.get("rejected", 0) for entry in found["texts"].values()):
        yield f"{rejected:,} rows of the judged files are no texts and were left out."
    for name, entry in found["arms"].items():
        if missing := entry.get("missing_documents"):
            yield f"{name}: {missing:,} of what it names is not in the corpus; the rest is drawn."
    yield ""


def _print_set(found: Found, group: str) -> None:
    rows = [
        figures_row(found, name, group)
        for name, _ in with_controls(found)
        if group in found["arms"][name]["groups"]
    ]
    if rows:
        title = f"{group_title(group)}: bits per byte, beside {found['baseline']}"
        print_table(figures_columns(found), rows, title=title)
        print_lines([""])


def _print_own_part(found: Found) -> None:
    rows = [
        (name, control, signed(figures["difference"]), interval(figures), figures["verdict"])
        for name, control, figures in controls_rows(found, ALL)
    ]
    if rows:
        title = "the scores' own part: beside the same shares, drawn uniformly inside"
        print_table(["arm", "held", "difference", "95 % interval", "verdict"], rows, title=title)
        print_lines([""])


def _domains(found: Found) -> Iterator[str]:
    for name, better, worse, undecided in domain_rows(found):
        yield f"{name}: better in {better}; worse in {worse}; undecided in {undecided}."
    yield ""


def _print_truth(found: Found) -> None:
    shares, areas = kinds_table(found), auc_table(found)
    if shares is not None:
        print_table(*shares, title="the known truth: share of each kind among the drawn tokens")
        print_lines([""])
    if areas is not None:
        title = "how often a score puts a clean document above one of the kind (AUC; 0.5 is chance)"
        print_table(*areas, title=title)
        print_lines([""])
