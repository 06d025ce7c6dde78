"""Public summaries of training content, as far as the data itself can fill them in.

The European one follows the sections of the template of the AI Office for Article 53(1)(d) of
Regulation (EU) 2024/1689 (July 2025), the Californian one the twelve items of Civil Code section
3111 (AB 2013). Neither is legal advice. What only the provider can know is marked, never made up.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from samplemix_dagster.config.mixtures import SOURCE
from samplemix_dagster.stages.mixture.drawing.axes import axes_in_words
from samplemix_dagster.tables import EXCLUSIONS
from samplemix_dagster.trace.papers.facts import UNSTATED, Facts, Part

TO_FILL = "**To be filled in by the provider.**"
_BILLION = 10**9
_TOP_SHARE = 0.1
_LANGUAGES = 30


def european(facts: Facts) -> str:
    """Return the public summary for the European template, as Markdown."""
    report = facts.manifest["report"]
    lines = [
        "# Public summary of training content",
        "",
        _of_which(facts),
        "",
        "## 1. General information",
        "",
        f"- Provider, contact, model, date of placing on the market: {TO_FILL}",
        "- Modality: text.",
        f"- Size of the training data: {_range(facts.tokens_drawn)}; exactly "
        f"{facts.tokens_drawn:,} tokens in {report['num_draws']:,} draws of "
        f"{report['num_documents_drawn']:,} documents.",
        f"- {_dates(facts)}",
        f"- Languages, by tokens: {_list(facts.drawn('language')[:_LANGUAGES], facts)}.",
        "",
        "## 2. Data sources",
        "",
        "Whether a source is publicly available, licensed from third parties, crawled, of users or "
        f"synthetic: {TO_FILL}",
        "",
        *table_lines("source", facts.drawn("source"), facts),
        "",
        "### Domains",
        "",
        *domain_lines(facts),
        "",
        "## 3. Data processing",
        "",
        f"- Respect of reservations of rights (text and data mining): {TO_FILL}",
        f"- Removal of illegal content: {TO_FILL}",
        *bullets(facts),
        "",
        "### Licences, as the documents state them",
        "",
        *table_lines("licence", facts.drawn("licence"), facts),
    ]
    return "\n".join(lines) + "\n"


def californian(facts: Facts) -> str:
    """Return the documentation for the Californian list, as Markdown."""
    report = facts.manifest["report"]
    licensed = {name: part for name, part in facts.drawn("licence") if name != UNSTATED}
    tokens = sum(part.counts["tokens_drawn"] for part in licensed.values())
    share = tokens / max(1, facts.tokens_drawn)
    lines = [
        "# Training data documentation",
        "",
        _of_which(facts),
        "",
        "1. **Sources or owners of the datasets.** By tokens: "
        f"{_list(facts.drawn('source'), facts)}. Owners: {TO_FILL}",
        f"2. **How they further the intended purpose of the system.** {TO_FILL}",
        f"3. **Number of data points.** {report['num_documents_drawn']:,} documents, "
        f"{facts.tokens_drawn:,} tokens, repeats included.",
        "4. **Types of data points.** Texts without labels. Languages: "
        f"{_list(facts.drawn('language')[:_LANGUAGES], facts)}.",
        "5. **Copyright, trademark, patent, or public domain.** Documents that state a licence "
        f"have {share:.1%} of the tokens: {_list(list(licensed.items()), facts) or 'none'}. "
        f"Of the others: {TO_FILL}",
        f"6. **Purchased or licensed.** {TO_FILL}",
        f"7. **Personal information.** {TO_FILL}",
        f"8. **Aggregate consumer information.** {TO_FILL}",
        f"9. **Cleaning, processing, modification.** {' '.join(sentences(facts))}",
        f"10. **Time period of collection.** {_dates(facts)}",
        f"11. **First use in development.** This version was drawn {facts.manifest['made_at']}. "
        f"First training on it: {TO_FILL}",
        f"12. **Synthetic data.** {TO_FILL}",
    ]
    return "\n".join(lines) + "\n"


def _of_which(facts: Facts) -> str:
    manifest = facts.manifest
    words = (
        f"Of mixture `{manifest['name']}`, version `{manifest['version']}`. Numbers are counted "
        "from its ledger and from the documents that it was drawn from; a duplicate of a text "
        "counts once, a document that is drawn twice counts twice among draws and tokens."
    )
    before = consumed_before(facts)
    return f"{words} **{before}**" if before else words


def consumed_before(facts: Facts) -> str:
    """Return what training had consumed before a version that goes on from another; else empty."""
    after = facts.manifest["report"].get("after")
    if after is None or "consumed" not in after:
        return ""
    consumed = after["consumed"]
    return (
        f"It goes on from version {after['version']}, of which {after['tokens']:,} tokens "
        f"({consumed['draws']:,} draws of {consumed['documents']:,} documents, with what that "
        "version went on from) had been consumed: they are training content too, and are not "
        "among these numbers; papers of that version tell of them."
    )


def _range(tokens: int) -> str:
    if tokens < _BILLION:
        return "less than 1 billion tokens"
    return "1 billion to 10 trillion tokens" if tokens <= 10_000 * _BILLION else "over 10 trillion"


def _dates(facts: Facts) -> str:
    if facts.last_date is None:
        return f"No document states a date. Dates of acquisition: {TO_FILL}"
    return (
        f"Documents that state a date are from {facts.first_date} to {facts.last_date}; "
        f"{facts.num_undated:,} state none. Dates of acquisition: {TO_FILL}"
    )


def _share(part: Part, facts: Facts) -> str:
    return f"{part.counts['tokens_drawn'] / max(1, facts.tokens_drawn):.1%}"


def _list(parts: list[tuple[str, Part]], facts: Facts) -> str:
    return ", ".join(f"{name} ({_share(part, facts)})" for name, part in parts)


def bullets(facts: Facts) -> Iterator[str]:
    """Yield what was done to the corpus, as a list."""
    yield from (f"- {sentence}" for sentence in sentences(facts))


def table_lines(what: str, parts: list[tuple[str, Part]], facts: Facts) -> Iterator[str]:
    """Yield a table of parts with their counts, and shares of the drawn tokens."""
    yield f"| {what} | documents | drawn | draws | tokens | share |"
    yield "|---|--:|--:|--:|--:|--:|"
    for name, part in parts:
        counts = part.counts
        yield (
            f"| {_cell(name)} | {counts['documents']:,} | {counts['documents_drawn']:,} | "
            f"{counts['draws']:,} | {counts['tokens_drawn']:,} | {_share(part, facts)} |"
        )


def _cell(text: str) -> str:
    """Return text that somebody else wrote as a cell of Markdown."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "\\`")


def domain_lines(facts: Facts) -> Iterator[str]:
    """Yield the tenth of the domains of which the most tokens are drawn."""
    every = facts.drawn("domain")
    if not every:
        yield f"No document has a URL. Domains that were crawled, if any: {TO_FILL}"
        return
    top = every[: max(1, math.ceil(_TOP_SHARE * len(every)))]
    tokens = sum(part.counts["tokens_drawn"] for _, part in every)
    yield (
        f"Domains: {len(every):,}, with {tokens / max(1, facts.tokens_drawn):.1%} of the tokens. "
        f"The tenth of them with the most ({len(top):,}):"
    )
    yield ""
    yield from table_lines("domain", top, facts)


def sentences(facts: Facts) -> Iterator[str]:
    """Yield in sentences what was done to the corpus, as the version recorded it."""
    manifest, report = facts.manifest, facts.manifest["report"]
    settings, corpus = manifest["config"], manifest["project"]["corpus"]
    yield (
        f"Texts under {corpus['min_characters']:,} or over {corpus['max_characters']:,} characters "
        "and what is no text were rejected."
    )
    if corpus["duplicates"] == "drop":
        yield "Of exact duplicates one was kept."
    yield (
        f"Documents were drawn by quality and diversity (strategy {settings['strategy']}) for "
        f"{settings['budget_tokens']:,} tokens, each at most {settings['max_copies']} times; "
        f"shares of {_axes(settings)}: {_shares(settings['shares'])}."
    )
    if before := consumed_before(facts):
        yield before
    for reason, counts in report.get("excluded", {}).items():
        yield (
            f"{counts['documents']:,} documents ({counts['tokens']:,} tokens) were excluded: "
            f"{reason}, {EXCLUSIONS.get(reason, reason)}."
        )


def _axes(settings: Mapping[str, Any]) -> str:
    words = axes_in_words(settings)
    return "sources" if words == SOURCE else f"groups by {words}"


def _shares(shares: str | Mapping[str, Any]) -> str:
    return shares if isinstance(shares, str) else str(dict(shares))
