"""Large pictures for asset metadata, as PNG: the UI shows them behind "Show Markdown".

Small ones that the UI shows in place are in ``pictures.py``, in the same colours.
"""

import base64
import io
from collections.abc import Sequence
from typing import Any

import dagster as dg
import numpy as np
import numpy.typing as npt

from samplemix_dagster.wiring.assets.shown.pictures import CORPUS, MIXTURE


def plane_figure(
    corpus_BB: npt.NDArray[Any],
    mixture_BB: npt.NDArray[Any] | None,
    corpus_law: Any,
    target_law_BB: npt.NDArray[Any] | None,
) -> Any:
    """Draw the (quality, diversity) plane: tokens, the law's contours, the mixture beside it.

    Args:
        corpus_BB: Tokens of the corpus, quality first.
        mixture_BB: Tokens drawn, or None for the corpus alone.
        corpus_law: A law with ``grid_mass(bins)``.
        target_law_BB: Cell probabilities of the target, or None.
    """
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    panels = [("corpus", corpus_BB, "Blues", CORPUS)]
    if mixture_BB is not None:
        panels.append(("mixture", mixture_BB, "Oranges", MIXTURE))
    figure, axes = plt.subplots(
        1, len(panels), figsize=(4.3 * len(panels), 4.2), dpi=110, squeeze=False, sharey=True
    )
    law_BB = corpus_law.grid_mass(64)
    for axis, (name, tokens_BB, colours, colour) in zip(axes[0], panels, strict=True):
        shown = _coarse(np.asarray(tokens_BB, dtype=np.float64), 64)
        axis.imshow(
            np.sqrt(shown / max(1.0, shown.max())).T,
            origin="lower",
            extent=(0, 1, 0, 1),
            cmap=colours,
            aspect="equal",
        )
        contours = law_BB if name == "corpus" or target_law_BB is None else target_law_BB
        _contour(axis, contours, "#333333")
        axis.set_title(f"{name}: {int(np.sum(tokens_BB)):,} tokens", fontsize=10, color=colour)
        axis.set_xlabel("quality")
    axes[0][0].set_ylabel("diversity")
    figure.text(
        0.5,
        0.005,
        "shading: tokens; lines: fitted law (left), target law (right)"
        if mixture_BB is not None
        else "shading: tokens; lines: fitted law",
        ha="center",
        fontsize=8,
        color="#555555",
    )
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    return figure


def _coarse(values_BB: npt.NDArray[np.float64], bins: int) -> npt.NDArray[np.float64]:
    factor = values_BB.shape[0] // bins
    coarse: npt.NDArray[np.float64] = values_BB.reshape(bins, factor, bins, factor).sum((1, 3))
    return coarse


def _contour(axis: Any, mass_BB: npt.NDArray[np.float64], colour: str) -> None:
    """Draw the lines inside which 25, 50, 75 and 95 % of a law's mass lie."""
    flat = np.sort(mass_BB.ravel())[::-1]
    inside = np.cumsum(flat) / flat.sum()
    levels = sorted({float(flat[int(np.searchsorted(inside, p))]) for p in (0.25, 0.5, 0.75, 0.95)})
    centres = (np.arange(mass_BB.shape[0]) + 0.5) / mass_BB.shape[0]
    axis.contour(centres, centres, mass_BB.T, levels=levels, colors=colour, linewidths=0.8)


def cluster_figure(names: Sequence[str], sizes: Sequence[int]) -> Any:
    """Draw the clusters by size, largest first, with their names."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    order = np.argsort(sizes)[::-1][:30]
    figure, axis = plt.subplots(figsize=(7, 0.24 * len(order) + 0.6), dpi=110)
    axis.barh(range(len(order)), [sizes[index] for index in order], color=CORPUS)
    axis.set_yticks(range(len(order)), [_shown(names[index]) for index in order], fontsize=7)
    axis.invert_yaxis()
    axis.set_xlabel("documents in the sample", fontsize=8)
    figure.tight_layout()
    return figure


def _shown(name: str) -> str:
    """Keep what the plot's font can draw."""
    kept = "".join(c if ord(c) < 0x2E80 else "□" for c in name)
    return kept[:60]


def picture(figure: Any) -> dg.MarkdownMetadataValue:
    """Return a figure as a picture in markdown."""
    return dg.MetadataValue.md(f"![plot](data:image/png;base64,{_png(figure)})")


def _png(figure: Any) -> str:
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    plt.close(figure)
    return base64.b64encode(buffer.getvalue()).decode()
