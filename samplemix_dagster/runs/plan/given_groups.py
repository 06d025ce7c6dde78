"""Given shares of groups that no document can be of, found before anything is paid for.

A source is known from the configuration, a label from its file, a language once texts were read;
clusters and topics are known when the mixture is drawn, which refuses for itself.
"""

from collections.abc import Collection

import pyarrow.compute as pc

from samplemix_dagster.config.mixtures import SOURCE, Mixture
from samplemix_dagster.core.mixture.groups import group_parts
from samplemix_dagster.core.mixture.shares import listed
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.errors import InputError, LakeError
from samplemix_dagster.stages.outside.joined import joined_file
from samplemix_dagster.stages.outside.labels import known_labels


def unknown_groups(recipes: Recipes, settings: Mixture) -> str:
    """Return why shares are given of what cannot be there; empty where nothing speaks against."""
    if not isinstance(settings.shares, dict) or settings.is_by_source:
        return ""
    axes = settings.axes
    try:
        every = [_names(recipes, axis) for axis in axes]
    except LakeError:
        return ""
    except InputError as error:
        return str(error)
    for group in settings.shares:
        parts = group_parts(group, len(axes))
        if parts is None:
            return f"shares name {group!r}, and a group is {'/'.join(axes)}, as `web/en`"
        for axis, part, names in zip(axes, parts, every, strict=True):
            if names is not None and part not in names:
                return f"shares name {group}, but {axis} has no {part!r}: {listed(sorted(names))}"
    return ""


def _names(recipes: Recipes, axis: str) -> Collection[str] | None:
    """Return what an axis can be; None where that is not known yet."""
    labels = recipes.config.labels
    if axis == SOURCE:
        return list(recipes.config.corpus.sources)
    if axis in labels:
        where = f"labels.{axis}"
        file = joined_file(recipes.project, labels[axis], where)
        return {*known_labels(file, labels[axis], where).values(), labels[axis].unknown}
    return _languages(recipes) if axis == "language" else None


def _languages(recipes: Recipes) -> Collection[str] | None:
    found: set[str] = set()
    for shard in recipes.project.all_shards():
        key = recipes.feature_key(DOCUMENTS, shard)
        if not recipes.lake.exists(key):
            return None
        column = recipes.lake.read_table(key, ["language"]).column("language")
        found.update(pc.unique(column).to_pylist())
    return found
