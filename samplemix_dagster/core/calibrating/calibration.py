"""Make scores of different groups comparable: median, scale and robust z by group.

Quality calibrates bits per byte by language, diversity the logit of its combined score. The merged
histograms are ``group_histograms.py`` beside this file, and the maps from z to (0, 1)
``unit_scores.py``; both are offered here too. Which values to take, and when to refit, is the
caller's.

A group's name may have levels: ``en/11`` (a language and an octave of length) lies in ``en``, which
lies in the pool of everything, ``""``.

Shape letters: N = documents, B = bins.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.calibrating.group_histograms import (
    GroupHistograms,
    Groups,
    Histogram,
    group_histograms,
    language_length_group,
    with_guests,
)
from samplemix_dagster.core.calibrating.histogram_spread import (
    UNRESOLVED_BINS,
    mean_absolute_deviation,
    median_and_scale,
)
from samplemix_dagster.core.calibrating.unit_scores import Band, Direction, logistic_asinh, score
from samplemix_dagster.errors import DegenerateSampleError

__all__ = [
    "OTHER",
    "POOLED",
    "Band",
    "Calibration",
    "Direction",
    "GroupCalibration",
    "GroupHistograms",
    "Histogram",
    "fit_calibration",
    "group_histograms",
    "language_length_group",
    "logistic_asinh",
    "robust_z",
    "score",
    "with_guests",
]

POOLED = ""
OTHER = "other"
_MEAN_TO_SIGMA = 1.2533141373155003

Parents = Mapping[str, str] | Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCalibration:
    """Centre and spread of one group, after shrinkage, and the documents they rest on."""

    median: float
    scale: float
    num_documents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A frozen fit: what each group's values are measured against.

    Attributes:
        groups: Fitted groups; ``""`` (the pool) always, ``other`` where small groups exist.
        parents: Parent of each group that was seen; a group that was not asks its name.
    """

    groups: Mapping[str, GroupCalibration]
    parents: Mapping[str, str]

    def lookup(self, group: str) -> GroupCalibration:
        """Return the fit of a group, of its nearest fitted ancestor, of ``other`` or the pool."""
        if group == POOLED:
            return self.groups[POOLED]
        while group != POOLED:
            if group in self.groups:
                return self.groups[group]
            group = self.parents.get(group, parent_by_name(group))
        return self.groups.get(OTHER, self.groups[POOLED])

    def to_json(self) -> dict[str, object]:
        """Return plain values for JSON; floats come back exactly."""
        fits = {
            name: {"median": fit.median, "scale": fit.scale, "num_documents": fit.num_documents}
            for name, fit in sorted(self.groups.items())
        }
        return {"groups": fits, "parents": dict(sorted(self.parents.items()))}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Calibration":
        """Return what :meth:`to_json` was given."""
        groups = {name: GroupCalibration(**fit) for name, fit in value["groups"].items()}
        return Calibration(groups=groups, parents=dict(value["parents"]))


def parent_by_name(group: str) -> str:
    """Return the part before the last slash: ``en`` for ``en/11``, ``""`` for ``en``."""
    return group.rpartition("/")[0]


def fit_calibration(
    histograms: GroupHistograms,
    *,
    parents: Parents | None = None,
    min_documents: int = 40,
    shrink: float = 50.0,
) -> Calibration:
    """Fit median and scale (1.4826 MAD) of each group, token-weighted, shrunk to its parent's.

    A group of n documents keeps n / (n + shrink) of its own numbers and takes the rest from its
    parent. A group of fewer than ``min_documents`` has no numbers of its own: it uses its parent's,
    or, where that is the pool, those of ``other``, the small groups together.

    A MAD of at most a bin cannot be told from zero. A group then takes its parent's scale; the pool
    takes sqrt(pi / 2) times its mean absolute deviation (Iglewicz & Hoaglin 1993, "How to detect
    and handle outliers"), and if that too is at most a bin, there is nothing to fit.

    Args:
        histograms: The merged histograms; a parent's are the sum of its children's and its own.
        parents: Parent of a group, where it is not the name before the last slash.
        min_documents: Fewest documents of a group of its own.
        shrink: Documents at which a group's own numbers count half; not negative.

    Raises:
        DegenerateSampleError: There is no weight, or the whole pool has no spread.
        ValueError: The parents run in a circle.
    """
    parent_of = _resolve_parents(histograms.groups, parents)
    pools = _pool(histograms, parent_of, min_documents)
    edges = np.linspace(histograms.lower, histograms.upper, histograms.num_bins + 1)
    fits = {POOLED: _fit_pool(pools[POOLED], edges)}

    def fit(name: str) -> GroupCalibration:
        if name not in fits:
            above = fit(parent_of.get(name, POOLED))
            fits[name] = _fit_group(pools[name], edges, above, shrink) if name in pools else above
        return fits[name]

    return Calibration(groups={name: fit(name) for name in sorted(pools)}, parents=parent_of)


def neutral_calibration(histograms: GroupHistograms) -> Calibration:
    """Return a calibration that tells no document from another, where none can be fitted.

    Its one group has the pool's median and a scale of 1: where all documents score the same to
    within a bin, every robust z is near 0.
    """
    pool = _sum_by_name(histograms, {name: [POOLED] for name in histograms.groups})
    found = pool.get(POOLED, _nothing(histograms))
    edges = np.linspace(histograms.lower, histograms.upper, histograms.num_bins + 1)
    median = median_and_scale(found.weights, edges)[0] if found.weights.sum() else 0.0
    group = GroupCalibration(median=median, scale=1.0, num_documents=found.num_documents)
    return Calibration(groups={POOLED: group}, parents={})


def _resolve_parents(groups: Mapping[str, Histogram], parents: Parents | None) -> dict[str, str]:
    """Return the parent of each named group and of its ancestors, up to the pool."""
    parent_of: dict[str, str] = {}
    for group in groups:
        path = [group]
        while (name := path[-1]) not in (POOLED, OTHER):
            above = parent_by_name(name)
            if isinstance(parents, Mapping):
                above = parents.get(name, above)
            elif parents is not None:
                above = parents(name)
            if above in path:
                msg = f"the parents of groups run in a circle: {' -> '.join([*path, above])}"
                raise ValueError(msg)
            parent_of[name] = above
            path.append(above)
    return parent_of


def _pool(
    histograms: GroupHistograms, parent_of: Mapping[str, str], min_documents: int
) -> dict[str, Histogram]:
    """Return the histogram of each group to fit: with its descendants, the small ones pooled."""
    lineages = {group: _lineage(group, parent_of) for group in histograms.groups}
    sums = _sum_by_name(histograms, lineages)
    kept = {
        name: histogram
        for name, histogram in sums.items()
        if name not in (POOLED, OTHER) and histogram.num_documents >= min_documents
    }
    small = {
        group: [POOLED] if group == POOLED or kept.keys() & lineage else [OTHER]
        for group, lineage in lineages.items()
    }
    kept[POOLED] = sums.get(POOLED, _nothing(histograms))
    others = _sum_by_name(histograms, small)
    return kept | ({OTHER: others[OTHER]} if OTHER in others else {})


def _lineage(group: str, parent_of: Mapping[str, str]) -> list[str]:
    names = [group]
    while names[-1] != POOLED:
        names.append(parent_of.get(names[-1], POOLED))
    return names


def _nothing(histograms: GroupHistograms) -> Histogram:
    return Histogram(weights=np.zeros(histograms.num_bins, dtype=np.int64), num_documents=0)


def _sum_by_name(
    histograms: GroupHistograms, names: Mapping[str, Sequence[str]]
) -> dict[str, Histogram]:
    """Return the sum of the histograms that are counted under each name."""
    sums: dict[str, Histogram] = {}
    for group, histogram in histograms.groups.items():
        for name in names[group]:
            held = sums.get(name, _nothing(histograms))
            sums[name] = Histogram(
                weights=held.weights + histogram.weights,
                num_documents=held.num_documents + histogram.num_documents,
            )
    return sums


def _fit_pool(pool: Histogram, edges: npt.NDArray[np.float64]) -> GroupCalibration:
    if pool.weights.sum() == 0:
        msg = f"nothing to calibrate: {pool.num_documents} documents have no token between them"
        raise DegenerateSampleError(msg)
    median, scale = median_and_scale(pool.weights, edges)
    if scale is None:
        width = edges[1] - edges[0]
        mean = mean_absolute_deviation(pool.weights, edges, median)
        if mean <= UNRESOLVED_BINS * width:
            msg = (
                f"all {pool.num_documents} documents score the same, {median:.6g} to within a bin "
                f"of {width:.3g}, so no calibration tells them apart: is the corpus one text, or "
                "its reference or encoder constant?"
            )
            raise DegenerateSampleError(msg)
        scale = _MEAN_TO_SIGMA * mean
    return GroupCalibration(median=median, scale=scale, num_documents=pool.num_documents)


def _fit_group(
    own: Histogram, edges: npt.NDArray[np.float64], parent: GroupCalibration, shrink: float
) -> GroupCalibration:
    count = own.num_documents
    if own.weights.sum() == 0:
        return replace(parent, num_documents=count)
    median, scale = median_and_scale(own.weights, edges)
    share = count / (count + shrink)
    return GroupCalibration(
        median=share * median + (1.0 - share) * parent.median,
        scale=parent.scale if scale is None else share * scale + (1.0 - share) * parent.scale,
        num_documents=count,
    )


def robust_z(
    values: npt.NDArray[np.float64], groups: Groups, calibration: Calibration
) -> npt.NDArray[np.float64]:
    """Return (value - median) / scale of each document's group, shape (N,); NaN stays NaN.

    Args:
        values: Scores, shape (N,).
        groups: Groups, shape (N,); one that was not fitted uses what
            :meth:`Calibration.lookup` finds.
        calibration: The fit.
    """
    present, group = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    fits = [calibration.lookup(str(name)) for name in present]
    medians = np.array([fit.median for fit in fits], dtype=np.float64)
    scales = np.array([fit.scale for fit in fits], dtype=np.float64)
    return (values - medians[group]) / scales[group]
