"""Which asset a fit is, by its folder in the lake."""

from samplemix_dagster.stages import flow
from samplemix_dagster.stages.beta import BETA


def fit_asset(folder: str) -> str:
    """Return the asset of a fit, by its folder in the lake: ``reference-main``, ``topic_fit``.

    A fit that no line of today's flow makes keeps the name of its folder.
    """
    kind, _, name = folder.partition("-")
    for fit in (fit for line in (*flow.FLOW, BETA) for fit in line.kinds()):
        if fit.name == kind:
            return fit.asset_of(name)
    return folder
