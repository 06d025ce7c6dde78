"""What the gates of quality leave of a source: by it shares are held with ``shares: kept``.

A share of the corpus's tokens would let a source that is half menus keep the place of the menus; a
share of what its documents score would let one source outbid another. Between the two stand the
gates: each token counts as far as its document is likely to be text. Gates of diversity do not
count here: how often a text repeats itself differs between kinds of text, and papers would pay.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samplemix_dagster.config.project import Config
from samplemix_dagster.stages.columns import floats

KEPT = "kept"
_PARTS_OF_A_TOKEN = 1024


def gate_columns(config: Config) -> tuple[str, ...]:
    """Return the columns of the wide table that hold the scores of quality's gates."""
    return tuple(f"{name}_score" for name, power in config.quality.gates.items() if power > 0)


def kept_parts(
    table: pa.Table, tokens: npt.NDArray[np.int64], columns: Sequence[str]
) -> npt.NDArray[np.int64]:
    """Return N documents' tokens times the scores of their gates, in parts of a token: (N,).

    Whole numbers, so that their sum depends on no order.
    """
    left = np.ones(table.num_rows)
    for column in columns:
        left = left * floats(table, column)
    return np.rint(tokens * left * _PARTS_OF_A_TOKEN).astype(np.int64)
