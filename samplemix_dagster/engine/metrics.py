"""A user's own diversity component: found by ``package.module:Class``, identified, called.

The class fulfils :class:`samplemix_dagster.core.diversity.metric.DiversityMetric`. Its identity is
its name, its version and the digest of its file, so that editing it recomputes it.
"""

import hashlib
import importlib
import importlib.util
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.diversity.metric import is_fitted, score_batch
from samplemix_dagster.core.hashing import round_unit
from samplemix_dagster.errors import ConfigError, InputError


@lru_cache(maxsize=32)
def load_metric(target: str, root: Path) -> Any:
    """Return an instance of the class that ``package.module:Class`` names.

    The project's folder is looked in as well, so that a file beside ``samplemix.yaml`` will do.

    Raises:
        ConfigError: There is no such module or class, or it does not fulfil the protocol.
    """
    module_name, _, class_name = target.partition(":")
    if not class_name:
        raise ConfigError(f"diversity.metrics: {target!r} is not of the form package.module:Class")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        metric = getattr(importlib.import_module(module_name), class_name)()
    except (ImportError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"diversity.metrics: cannot load {target!r}: {error}. The module must be installed or "
            f"lie in {root}, and the class must need no arguments."
        ) from error
    missing = [name for name in ("name", "version", "score") if not hasattr(metric, name)]
    if missing:
        raise ConfigError(f"diversity.metrics: {target!r} has no {', '.join(missing)}")
    return metric


def metric_identity(target: str, root: Path) -> dict[str, str]:
    """Return what a component's scores depend on: its name, version, file and what it reads."""
    metric = load_metric(target, root)
    module = sys.modules[type(metric).__module__]
    content = Path(module.__file__).read_bytes() if module.__file__ else b""
    return {
        "name": str(metric.name),
        "version": str(metric.version),
        "code": hashlib.blake2b(content, digest_size=12).hexdigest(),
        "needs": str(getattr(metric, "needs", "text")),
    }


def metric_is_fitted(target: str, root: Path) -> bool:
    """Whether a component is fitted to the corpus before it scores."""
    return is_fitted(load_metric(target, root))


def metric_scores(metric: Any, batch: Any, fitted: Any = None) -> npt.NDArray[np.float64]:
    """Return the component's score of each text or embedding, checked and rounded.

    Raises:
        InputError: The number of scores is wrong, or one lies outside (0, 1).
    """
    try:
        return round_unit(score_batch(metric, batch, fitted))
    except ValueError as error:
        raise InputError(f"diversity.metrics: {error}") from error
