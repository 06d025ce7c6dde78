"""Checks of fits to the corpus."""

from collections.abc import Callable

from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.engine.project import Project
from samplemix_dagster.stages.mixture.published.publishing import Verdict
from samplemix_dagster.stages.quality.loss.student import LEAST_SPEARMAN
from samplemix_dagster.wiring.checks.check import Check

MAX_NOISE_SHARE = 0.35
MAX_CLUSTER_SHARE = 0.4


def _gap(project: Project, outcome: Outcome) -> Verdict:
    name = outcome.asset.partition("/")[2]
    bootstrap = project.config.references[name].bootstrap
    gap = outcome.facts.get("memorisation_gap_bits_per_byte")
    if bootstrap is None or gap is None:
        return Verdict(passed=True, facts={"measured": False})
    return Verdict(
        passed=gap <= bootstrap.max_gap or bool(outcome.facts["cross_fit"]),
        facts={"gap_bits_per_byte": gap, "bound": bootstrap.max_gap},
        sentence=(
            f"it scores its own training texts {gap:.3f} bits per byte better than others, and "
            f"max_gap is {bootstrap.max_gap:g}"
        ),
    )


def _agrees(project: Project, outcome: Outcome) -> Verdict:
    del project
    found = outcome.facts["spearman"]
    passed = found is not None and found >= LEAST_SPEARMAN
    words = (
        f"on documents that it had not seen its ranks agree with the reference's to {found}, and "
        f"{LEAST_SPEARMAN} is the least; a larger quality.student.sample may cure that"
    )
    facts = {"spearman": found, "bound": LEAST_SPEARMAN}
    return Verdict(passed=passed, facts=facts, sentence="" if passed else words)


def _below(name: str, bound: float) -> Callable[[Project, Outcome], Verdict]:
    def look(project: Project, outcome: Outcome) -> Verdict:
        del project
        value = float(outcome.facts[name])
        words = f"{name.replace('_', ' ')} is {value:.0%}, above {bound:.0%}"
        return Verdict(
            passed=value <= bound,
            facts={name: value, "bound": bound},
            sentence="" if value <= bound else words,
        )

    return look


def _law(project: Project, outcome: Outcome) -> Verdict:
    del project
    warnings = list(outcome.facts["warnings"])
    return Verdict(passed=not warnings, facts={"warnings": warnings}, sentence=" ".join(warnings))


GAP = Check(
    name="remembers_little",
    description="It knows its own training documents hardly better than others.",
    is_blocking=False,
    look=_gap,
)
AGREES = Check(
    name="agrees_with_the_reference",
    description=f"Held-out ranks agree with the reference's to {LEAST_SPEARMAN} at least.",
    is_blocking=False,
    look=_agrees,
)
NOISE = Check(
    name="little_noise",
    description=f"At most {MAX_NOISE_SHARE:.0%} of the sample is noise.",
    is_blocking=False,
    look=_below("noise_share", MAX_NOISE_SHARE),
)
GIANT = Check(
    name="no_giant_cluster",
    description=f"The largest cluster holds at most {MAX_CLUSTER_SHARE:.0%} of the sample.",
    is_blocking=False,
    look=_below("largest_share", MAX_CLUSTER_SHARE),
)
LAW = Check(
    name="law_describes_corpus",
    description="The fitted law is close to the corpus. Weights of documents do not depend on it.",
    is_blocking=False,
    look=_law,
)
