"""A user's own diversity component: found by ``package.module:Class``, identified, called.

The class fulfils :class:`samplemix_dagster.core.diversity.metric.DiversityMetric`. Its identity is
its name, its version and the digest of its file, so that editing it recomputes it.
"""

import hashlib
import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.diversity.metric import is_fitted, score_batch
from samplemix_dagster.core.hashing import round_unit
from samplemix_dagster.errors import ConfigError, InputError

_OURS = "samplemix_dagster."
_loaded: dict[tuple[str, Path], tuple[str, Any]] = {}


def load_metric(target: str, root: Path) -> Any:
    """Return an instance of the class that ``package.module:Class`` names.

    The project's folder is looked in first, so that a file beside ``samplemix.yaml`` will do. A
    module whose file was edited since is loaded again, so that code and identity belong together.

    Raises:
        ConfigError: There is no such module or class, or it does not fulfil the protocol.
    """
    module_name, _, class_name = target.partition(":")
    if not class_name:
        raise ConfigError(f"{target!r} is not of the form package.module:Class")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    known = _loaded.get((target, root))
    if known is not None and _code(known[1]) == known[0]:
        return known[1]
    own = root / (module_name.replace(".", "/") + ".py")
    held = sys.modules.get(module_name)
    if held is not None and (known is not None or (own.is_file() and _file(held) != str(own))):
        del sys.modules[module_name]
    importlib.invalidate_caches()
    try:
        metric = getattr(importlib.import_module(module_name), class_name)()
    except (ImportError, AttributeError, TypeError, SyntaxError) as error:
        raise ConfigError(
            f"cannot load {target!r}: {error}. The module must be installed or "
            f"lie in {root}, and the class must need no arguments."
        ) from error
    missing = [name for name in ("name", "version", "score") if not hasattr(metric, name)]
    if missing:
        raise ConfigError(f"{target!r} has no {', '.join(missing)}")
    _loaded[target, root] = (_code(metric), metric)
    return metric


def _file(module: Any) -> str:
    return str(getattr(module, "__file__", None) or "")


def _code(metric: Any) -> str:
    """Return the digest of the file that a component's class stands in."""
    file = _file(sys.modules.get(type(metric).__module__))
    content = Path(file).read_bytes() if file else b""
    return hashlib.blake2b(content, digest_size=12).hexdigest()


def metric_identity(target: str, root: Path) -> dict[str, str | bool]:
    """Return what a component's scores depend on, and how they are made.

    That is ``name``, ``version``, ``code`` (a digest of its file, for what does not come along),
    ``needs`` (what it reads) and ``is_fitted``.
    """
    metric = load_metric(target, root)
    # What comes along says by its version alone that it computes something else.
    code = {} if target.startswith(_OURS) else {"code": _code(metric)}
    return {
        "name": str(metric.name),
        "version": str(metric.version),
        **code,
        "needs": str(getattr(metric, "needs", "text")),
        "is_fitted": is_fitted(metric),
    }


def metric_scores(metric: Any, batch: Any, fitted: Any = None) -> npt.NDArray[np.float64]:
    """Return the score of each text or embedding, checked and rounded; high is good.

    Raises:
        InputError: The number of scores is wrong, or one lies outside (0, 1).
    """
    try:
        scores = score_batch(metric, batch, fitted)
        return round_unit(1.0 - scores if getattr(metric, "good", "high") == "low" else scores)
    except ValueError as error:
        kind = type(metric)
        raise InputError(f"{kind.__module__}:{kind.__name__}: {error}") from error
