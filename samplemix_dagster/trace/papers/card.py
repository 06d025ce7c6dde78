"""The card of a data set: the ``README.md`` that stands in the folder of an export.

Its head is the YAML that the Hugging Face hub reads; the rest is for people.
"""

from collections.abc import Mapping
from typing import Any

import yaml

from samplemix_dagster.trace.papers.facts import UNSTATED, Facts
from samplemix_dagster.trace.papers.summary import bullets, domain_lines, table_lines

_LANGUAGES = 100
_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"))
_LARGER = ((10**7, "1M<n<10M"), (10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (10**12, "1B<n<10B"))


def card(facts: Facts, export: Mapping[str, Any] | None = None) -> str:
    """Return the card, as Markdown.

    Args:
        facts: What the version holds.
        export: The manifest of the export that it is the card of, where there is one.
    """
    manifest, report = facts.manifest, facts.manifest["report"]
    lines = [
        "---",
        yaml.safe_dump(_head(facts), sort_keys=False, allow_unicode=True).rstrip(),
        "---",
        "",
        f"# {manifest['name']}",
        "",
        f"Version `{manifest['version']}`, drawn {manifest['made_at']} by SampleMix on Dagster "
        f"{manifest['samplemix_version']}: {report['realised_tokens']:,} tokens in "
        f"{report['num_draws']:,} draws of {report['num_documents_drawn']:,} documents, out of "
        f"{report['num_documents']:,}. Counted from the version's ledger and documents.",
        "",
        *(_of_export(export) if export is not None else ()),
        "## What it is made from",
        "",
        *table_lines("source", facts.drawn("source"), facts),
        "",
        "## Languages",
        "",
        *table_lines("language", facts.drawn("language")[:_LANGUAGES], facts),
        "",
        "## Licences",
        "",
        "As documents state them, by SPDX identifier where that is certain.",
        "",
        *table_lines("source and licence", facts.drawn("source licence"), facts),
        "",
        "## Domains",
        "",
        *domain_lines(facts),
        "",
        "## How it was made",
        "",
        *bullets(facts),
        f"- Mean quality {report['mean_quality']:.3f} (corpus "
        f"{report['corpus']['mean_quality']:.3f}), mean diversity {report['mean_diversity']:.3f} "
        f"(corpus {report['corpus']['mean_diversity']:.3f}), both in (0, 1).",
        "",
        "## Limits",
        "",
        "Scores choose documents: what scores low is rare here. Quality filters are known to "
        "remove dialects and unusual writers more often than others (arXiv 2401.06408). Nothing "
        "was looked for that names people.",
        *(f"- {warning}" for warning in report["warnings"]),
    ]
    return "\n".join(lines) + "\n"


def _head(facts: Facts) -> dict[str, object]:
    licences = [name for name, _ in facts.drawn("licence") if name != UNSTATED]
    is_one = len(licences) == 1 and len(facts.drawn("licence")) == 1
    return {
        "pretty_name": f"{facts.manifest['name']}@{facts.manifest['version'][:12]}",
        "language": [name for name, _ in facts.drawn("language") if name != "und"][:_LANGUAGES],
        "license": licences[0].lower() if is_one else "other",
        "task_categories": ["text-generation"],
        "size_categories": [_size(facts.manifest["report"]["num_draws"])],
    }


def _size(draws: int) -> str:
    return next((word for most, word in (*_SIZES, *_LARGER) if draws < most), "n>1T")


def _of_export(export: Mapping[str, Any]) -> list[str]:
    return [
        f"Format `{export['format']}`, {len(export['files'])} files, {export['num_draws']:,} "
        "draws. A document that is drawn several times stands there as often.",
        "",
    ]
