"""Make a mixture version the current one, once what must hold of it holds.

A version is made by ``stages/mixture/mixing.py`` and is then only a folder. Here its ledger is
read again and added up; if that holds, ``current.json`` names the version, and exports and reports
follow it. If not, the lake keeps why, and the last good version stays current.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from samplemix_dagster import tables
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.errors import CheckFailedError, LakeError, UnreachableLakeError
from samplemix_dagster.stages.exclusions.excluded import LeftOutCount
from samplemix_dagster.storage.lake import keys

if TYPE_CHECKING:
    from samplemix_dagster.engine.project import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a check found."""

    passed: bool
    facts: Mapping[str, int | float | str | list[str] | None]
    """Numbers and names, which Dagster shows."""
    sentence: str = ""
    """What does not hold, with its numbers; empty when all holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A mixture that has a new current version."""

    mixture: str
    version: str
    previous: str | None


def ledger_verdict(project: "Project", name: str, version: str) -> Verdict:
    """Documents = drawn + not drawn + duplicates + excluded = corpus; sums are the manifest's.

    No document is drawn beyond its cap, with what was consumed before.
    """
    folder = keys.version_folder(name, version)
    manifest = project.lake.read_json(keys.manifest_in(folder))
    counts = {"documents": 0, "drawn": 0, "not_drawn": 0, "excluded": 0, "tokens": 0}
    left_out, beyond = LeftOutCount(), 0
    names = ["num_tokens", "copies", "reason"]
    names += ["consumed"] if "after" in manifest["report"] else []
    for key in manifest["ledger"]:
        table = project.lake.read_table(f"{folder}/{key}", names)
        copies, tokens = table.column("copies").to_numpy(), table.column("num_tokens").to_numpy()
        both = copies + (table.column("consumed").to_numpy() if "consumed" in names else 0)
        beyond += int(((copies > 0) & (both > manifest["config"]["max_copies"])).sum())
        reasons = table.column("reason").to_pylist()
        counts["documents"] += table.num_rows
        counts["drawn"] += reasons.count(None)
        counts["not_drawn"] += reasons.count(tables.NOT_DRAWN)
        counts["excluded"] += reasons.count(tables.DUPLICATE)
        counts["tokens"] += int((copies * tokens).sum())
        left_out.add(table.column("reason"), tokens)
    counts["excluded"] += sum(entry["documents"] for entry in left_out.by_reason.values())
    recipes = Recipes(project)
    corpus = sum(
        project.lake.num_rows(recipes.feature_key(DOCUMENTS, shard))
        for shard in project.all_shards()
    )
    report = manifest["report"]
    parts = counts["drawn"] + counts["not_drawn"] + counts["excluded"]
    pairs = [
        ("documents of the ledger", counts["documents"], "those of the corpus", corpus),
        ("documents of the ledger", counts["documents"], "drawn + not drawn + excluded", parts),
        ("tokens of the draws", counts["tokens"], "realised tokens", report["realised_tokens"]),
        ("documents drawn", counts["drawn"], "the report's", report["num_documents_drawn"]),
        ("documents drawn beyond max_copies", beyond, "those that may be", 0),
    ]
    broken = [f"{what} {a:,}, {other} {b:,}" for what, a, other, b in pairs if a != b]
    if left_out.by_reason != report.get("excluded", {}):
        broken.append(f"excluded {left_out.by_reason}, the report's {report.get('excluded', {})}")
    return Verdict(
        passed=not broken,
        facts={**counts, "documents_in_corpus": corpus},
        sentence="; ".join(broken),
    )


def budget_verdict(project: "Project", name: str, version: str) -> Verdict:
    """The budget is met to within one document, never over."""
    folder = keys.version_folder(name, version)
    manifest = project.lake.read_json(keys.manifest_in(folder))
    report = manifest["report"]
    longest = max(
        (
            int(
                project.lake.read_table(f"{folder}/{key}", ["num_tokens"])
                .column(0)
                .to_numpy()
                .max()
            )
            for key in manifest["ledger"]
            if project.lake.num_rows(f"{folder}/{key}")
        ),
        default=0,
    )
    left = report["budget_tokens"] - report["realised_tokens"]
    passed = 0 <= left <= longest
    sentence = (
        f"{report['realised_tokens']:,} tokens of a budget of {report['budget_tokens']:,}, and the "
        f"longest document has {longest:,}"
    )
    return Verdict(
        passed=passed,
        facts={"left_over_tokens": left, "longest_document_tokens": longest},
        sentence="" if passed else sentence,
    )


MIXTURE_VERDICTS = {"ledger_adds_up": ledger_verdict, "budget_is_met": budget_verdict}
"""What must hold of a version before it is published, by the check's name."""


def broken_verdicts(project: "Project", name: str, version: str) -> dict[str, str]:
    """Return what does not hold of a version, by check: a sentence with its numbers."""
    found = {}
    for check, look in MIXTURE_VERDICTS.items():
        try:
            verdict = look(project, name, version)
        except UnreachableLakeError:
            raise  # it says nothing of the version
        except LakeError as error:
            found[check] = str(error)
        else:
            if not verdict.passed:
                found[check] = verdict.sentence
    return found


def current_or_none(project: "Project", name: str) -> str | None:
    """Return a mixture's current version; None when none was ever published."""
    current = project.lake.read_json(keys.current_version(name))
    return None if current is None else str(current["version"])


def publish_mixture(project: "Project", name: str, version: str) -> Publication | None:
    """Make a version current; None when it is already."""
    key = keys.current_version(name)
    previous = current_or_none(project, name)
    project.lake.remove(refused_key(name))
    project.lake.keep_json(key, {"version": version})
    if previous == version:
        return None
    return Publication(mixture=name, version=version, previous=previous)


def refuse_mixture(project: "Project", name: str, version: str, broken: dict[str, str]) -> str:
    """Remember why a version is not published, and return it in a sentence.

    A version that is current already stays so: it is what the exports were made from.
    """
    sentence = refusal(project, name, version, broken)
    value = {"version": version, "checks": broken, "sentence": sentence}
    project.lake.replace_json(refused_key(name), value)
    return sentence


def refusal(project: "Project", name: str, version: str, broken: dict[str, str]) -> str:
    """Return in words which checks did not hold, their numbers, and what stays current."""
    checks = "; ".join(f"{check} does not hold ({why})" for check, why in broken.items())
    current = current_or_none(project, name)
    if current == version:
        return (
            f"version {version[:12]} of mixture {name!r} is current, but {checks}; "
            "`samplemix run` draws it again"
        )
    stays = (
        "no version has been published yet"
        if current is None
        else f"version {current[:12]} stays current"
    )
    return f"version {version[:12]} of mixture {name!r} is not published: {checks}; {stays}"


def refused_key(name: str) -> str:
    """Return where the lake keeps why a mixture's last version was refused."""
    return keys.refused_note(name)


def refused(project: "Project", name: str, version: str) -> str | None:
    """Return why a version was refused the last time; None when it was not."""
    value = project.lake.read_json(refused_key(name))
    if value is None or value["version"] != version:
        return None
    return str(value["sentence"])


def publish_if_it_holds(project: "Project", name: str, version: str) -> Publication | None:
    """Publish a version whose ledger adds up; None when it was current already.

    Raises:
        CheckFailedError: Something does not hold; the last good version stays current.
    """
    broken = broken_verdicts(project, name, version)
    if broken:
        raise CheckFailedError(refuse_mixture(project, name, version, broken))
    return publish_mixture(project, name, version)
