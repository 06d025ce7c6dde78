"""A diversity component of your own: how rich a text's vocabulary is.

Put this file beside ``samplemix.yaml`` and name it there::

    diversity: {metrics: {vocabulary: "vocabulary_metric:Vocabulary"}}

It then has an asset, a column ``vocabulary_score`` and a place in the combination.
"""

import numpy as np


class Vocabulary:
    """Different words as a share of all words, strictly inside (0, 1)."""

    name = "vocabulary"
    version = "1"

    def score(self, texts):
        """Return one number for each text, whatever texts stand beside it."""
        words = [text.lower().split() for text in texts]
        return np.array([(len(set(found)) + 1) / (len(found) + 2) for found in words])
