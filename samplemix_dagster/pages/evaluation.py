"""The page of an evaluation: what may be claimed, then pictures, tables, and how it was judged."""

from collections.abc import Iterator
from dataclasses import dataclass

from samplemix_dagster.pages.dots import Dots, Figure, dots_of
from samplemix_dagster.pages.frame import Table, render
from samplemix_dagster.show.evaluated.judgement_facts import (
    arms_rows,
    auc_table,
    cost_words,
    judged_how,
    kinds_table,
    texts_rows,
)
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
    has_ceiling,
    interval,
    own_part,
    signed,
    verdict_of,
    with_controls,
)
from samplemix_dagster.show.evaluated.judgement_worth import decay_sentences, worth_sentences


@dataclass(frozen=True, slots=True)
class Section:
    """A set or a group: its picture, and the table beneath."""

    title: str
    dots: Dots | None
    table: Table


def evaluation_page(found: Found) -> str:
    """Return the page of what an evaluation found, as ``samplemix evaluate --json`` gives it."""
    sets, groups = groups_of(found)
    texts = sum(entry["texts"] for entry in found["texts"].values())
    return render(
        "evaluation.html",
        title="Which mixture trains the better model",
        lead=(
            f"{found['learner']} learner, {found['seeds']} pairs of draws of "
            f"{found['budget_tokens']:,} tokens, judged on {texts:,} held-out texts in "
            f"{len(found['texts'])} groups. Bits per byte beside {found['baseline']}: below "
            "nought, the arm teaches more."
        ),
        claims=claims(found),
        own_part=own_part(found),
        undecided=cautions(found),
        is_look=found["strength"] == "look",
        baseline=found["baseline"],
        has_ceiling=has_ceiling(found),
        sets=[_section(found, name) for name in sets if _is_judged(found, name)],
        groups=[_section(found, name) for name in groups if _is_judged(found, name)],
        controls=_controls(found),
        domains=Table(("arm", "better in", "worse in", "undecided in"), domain_rows(found)),
        kinds=_table(kinds_table(found)),
        areas=_table(auc_table(found)),
        cost=cost_words(found),
        worth=worth_sentences(found),
        decays=list(decay_sentences(found)),
        how=Table(("what", "value"), judged_how(found)),
        arms=Table(
            ("arm", "is", "copies at most", "tokens drawn", "documents drawn", "not in the corpus"),
            arms_rows(found),
        ),
        texts=Table(("group", "texts", "bytes", "refused"), texts_rows(found)),
    )


def _is_judged(found: Found, group: str) -> bool:
    return group in found["arms"][found["baseline"]]["groups"]


def _section(found: Found, group: str) -> Section:
    title = group_title(group)
    rows = [figures_row(found, name, group) for name, _ in with_controls(found)]
    return Section(
        title=title,
        dots=dots_of(list(_figures(found, group)), f"Differences from the baseline, {title}"),
        table=Table(figures_columns(found), rows),
    )


def _figures(found: Found, group: str) -> Iterator[Figure]:
    for name, is_control in with_controls(found):
        if name != found["baseline"]:
            shown = found["arms"][name]["groups"][group]
            yield Figure(
                name=name,
                value=shown["difference"],
                low=shown["low"],
                high=shown["high"],
                verdict=verdict_of(found, name, group),
                is_control=is_control,
            )


def _controls(found: Found) -> Section | None:
    """Return how far arms lie from their own controls; None where there is no control."""
    rows = list(controls_rows(found, ALL))
    figures = [
        Figure(
            name=f"{name}, {control} held",
            value=shown["difference"],
            low=shown["low"],
            high=shown["high"],
            verdict=shown["verdict"],
        )
        for name, control, shown in rows
    ]
    table = Table(
        ("arm", "held", "difference", "95 % interval", "verdict"),
        [
            (name, control, signed(shown["difference"]), interval(shown), shown["verdict"])
            for name, control, shown in rows
        ],
    )
    dots = dots_of(figures, "Differences of arms from their controls, all groups")
    return Section("the scores' own part", dots, table) if rows else None


def _table(given: tuple[list[str], list[tuple[str, ...]]] | None) -> Table | None:
    return None if given is None else Table(*given)
