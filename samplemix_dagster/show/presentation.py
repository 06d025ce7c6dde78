"""Numbers in words: durations, shares, sizes, and a mixture's report in lines."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote


class Quantity(str):
    """A number in words: in a table it stands to the right, as numbers do."""

    __slots__ = ()


def duration(seconds: float | None) -> Quantity:
    """Return seconds as a person says them, or a dash."""
    if seconds is None:
        return Quantity("-")
    if seconds < 90:
        return Quantity(f"{seconds:.0f} s")
    if seconds < 5400:
        return Quantity(f"{seconds / 60:.0f} min")
    return Quantity(f"{seconds / 3600:.1f} h")


def took(seconds: float) -> Quantity:
    """Return seconds that were measured, to the second where that says something."""
    if seconds < 10:
        return Quantity(f"{seconds:.1f} s" if seconds >= 0.05 else "under 0.1 s")
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return Quantity(f"{hours} h {minutes} min")
    return Quantity(f"{minutes} min {rest} s" if minutes else f"{rest} s")


def many(number: float) -> Quantity:
    """Return a count as people say it: 12.4 M, and all digits below ten thousand."""
    if number < 10_000:
        return Quantity(f"{number:,.0f}")
    for unit in ("k", "M", "G"):
        number /= 1000
        if number < 999.95:
            return Quantity(f"{number:.1f} {unit}")
    return Quantity(f"{number / 1000:.1f} T")


def flops_in_words(flops: float) -> Quantity:
    """Return floating-point operations in the unit that leaves a short number."""
    for unit in ("GFLOP", "TFLOP", "PFLOP"):
        flops /= 1000 if unit != "GFLOP" else 1e9
        if flops < 100:
            return Quantity(f"{flops:.2g} {unit}" if flops < 1 else f"{flops:.1f} {unit}")
    return Quantity(f"{flops / 1000:,.1f} EFLOP")


def about(seconds: float | None, *, is_guess: bool) -> Quantity:
    """Return a time that was foreseen; a guess has a mark in front."""
    return Quantity(f"~{duration(seconds)}") if is_guess else duration(seconds)


def in_all(stages: Sequence[Mapping[str, Any]]) -> str:
    """Return in a sentence how long a plan takes."""
    known = [entry["seconds"] for entry in stages if entry["seconds"] is not None]
    words = f"In all about {duration(sum(known))}"
    if any(entry["is_guess"] for entry in stages):
        words += "; times with ~ are a first guess, from bytes and a trial of this machine"
    return f"{words}."


def share(value: float) -> Quantity:
    """Return a share as a percentage."""
    return Quantity(f"{value:.1%}")


def size(num_bytes: float) -> Quantity:
    """Return a number of bytes as people write it, in powers of ten."""
    for unit in ("B", "kB", "MB", "GB"):
        if num_bytes < 1000:
            return Quantity(f"{num_bytes:.0f} {unit}" if unit == "B" else f"{num_bytes:.1f} {unit}")
        num_bytes /= 1000
    return Quantity(f"{num_bytes:.1f} TB")


def mixture_lines(manifest: Mapping[str, Any]) -> list[str]:
    """Return a mixture's report in words and numbers."""
    report = manifest["report"]
    left = report["budget_tokens"] - report["realised_tokens"]
    promised, control, corpus = report["promised"], report["control"], report["corpus"]
    lines = [
        f"mixture {manifest['name']}  version {manifest['version']}",
        f"  made {manifest['made_at']} by {manifest['made_by'] or 'unknown'}",
        f"  tokens       {report['realised_tokens']:,} of {report['budget_tokens']:,} "
        f"({left:,} left: less than the next document{_of_budget(left, report)})",
        f"  documents    {report['num_documents_drawn']:,} of {report['num_documents']:,} drawn, "
        f"{report['num_draws']:,} draws",
        f"  quality      {report['mean_quality']:.3f}  corpus {corpus['mean_quality']:.3f}, "
        f"promised {promised['mean_quality']:.3f}, control {control['mean_quality']:.3f}",
        f"  diversity    {report['mean_diversity']:.3f}  corpus {corpus['mean_diversity']:.3f}, "
        f"promised {promised['mean_diversity']:.3f}, control {control['mean_diversity']:.3f}",
        f"  near-duplicates  {report['near_duplicate_share_before']:.1%} of the corpus's tokens, "
        f"{report['near_duplicate_share_after']:.1%} of the mixture's",
        f"  effective sample {report['effective_sample_size_tokens']:,} tokens "
        f"({report['effective_sample_share']:.0%} of the corpus), KL {report['kl_nats']:.3f} nats",
    ]
    lines += [
        f"  excluded     {entry['documents']:,} documents, {entry['tokens']:,} tokens: {reason}"
        for reason, entry in report.get("excluded", {}).items()
    ]
    if after := after_words(report):
        lines.append(f"  goes on      {after}")
    return [*lines, *(f"  warning: {one}" for one in report["warnings"])]


_MUCH_LEFT = 0.01


def _of_budget(left: int, report: Mapping[str, Any]) -> str:
    """Return how much of the budget is left, where that is a hundredth of it or more."""
    part = left / max(1, report["budget_tokens"])
    return f", {part:.0%} of the budget" if part >= _MUCH_LEFT else ""


def after_words(report: Mapping[str, Any]) -> str:
    """Return what was consumed before, where a mixture goes on from another version; else empty."""
    after = report.get("after")
    if after is None or "consumed" not in after:
        return ""
    consumed, gone = after["consumed"], after["gone"]
    words = (
        f"after {after['tokens']:,} tokens of version {after['version'][:12]}: "
        f"{consumed['draws']:,} draws of {consumed['documents']:,} documents are consumed"
    )
    if gone["documents"]:
        words += (
            f"; {gone['documents']:,} of them ({gone['draws']:,} draws, {gone['tokens']:,} tokens) "
            "are no longer in the corpus"
        )
    return words


LINEAGE_PAGE = "/samplemix/lineage/"
"""Below it ``samplemix ui`` serves the lineage of each version."""


def lineage_address(mixture: str, version: str) -> str:
    """Return where ``samplemix ui`` serves the lineage of a version."""
    return f"{LINEAGE_PAGE}{quote(mixture, safe='')}/{version}"
