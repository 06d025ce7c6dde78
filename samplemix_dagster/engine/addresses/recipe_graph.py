"""The recipes of a mixture version as a graph of data: what was made from what, and its addresses.

A recipe names what it is made from by hash, so that a version's manifest holds a Merkle graph: each
address can be worked out again from the recipes beside it, by nothing but hashing. Nothing here
asks what today's code would make of a configuration, so a version stays what it is whatever stage,
signal or key comes later.

Nodes are named ``mixture``, ``fit/<folder>``, ``feature/<source>/<stage>``, ``model/<kind>``,
``text/<source>`` (how a source's text is read), ``version/<version>`` (the one that a
mixture goes on from).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.core.values import strings_in

MIXTURE = "mixture"
_KINDS = ("model", "fit", "feature", "text", "version")
MODEL_READERS = {
    "reference": {"perplexity", "reference"},
    "encoder": {"embeddings"},
    "tokenizer": {"tokens"},
}
"""Which stages read which model, in manifests without edges: two models may be the same files."""

OTHER = "reference:"
"""What stands before the name of a reference beside the one that scores, among models."""

_NAMED_BY_CONTENT = ("fit/reference-", "fit/exclusions")
"""Fits of which a recipe names what they hold: a trained reference's files, excluded documents."""


@dataclass(frozen=True)
class RecipeGraph:
    """The recipes of one version.

    Attributes:
        mixture: The recipe of the draw.
        features: By source and stage: ``asset``, ``folder``, ``fingerprint`` and ``recipe``.
        fits: Version of each fit, by its folder.
        fit_recipes: Recipe of each fit.
        models: Digest of each model, by kind.
        shards: Each shard's ``source`` and ``digest``.
        stated: The edges that the manifest states; empty: they are found by hash.
    """

    mixture: Mapping[str, Any]
    features: Mapping[str, Mapping[str, Mapping[str, Any]]]
    fits: Mapping[str, str]
    fit_recipes: Mapping[str, Mapping[str, Any]]
    models: Mapping[str, str]
    shards: tuple[tuple[str, str], ...]
    stated: Mapping[str, tuple[str, ...]]

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, Any]) -> "RecipeGraph":
        """Return the graph that a manifest of form 2 or 3 holds."""
        return cls(
            mixture=manifest["recipe"],
            features=manifest["features"],
            fits=manifest["fits"],
            fit_recipes=manifest["fit_recipes"],
            models={kind: entry["digest"] for kind, entry in manifest["models"].items()},
            shards=tuple((shard["source"], shard["digest"]) for shard in manifest["shards"]),
            stated={node: tuple(needs) for node, needs in (manifest.get("needs") or {}).items()},
        )

    @cached_property
    def texts(self) -> dict[str, str]:
        """How each source's text is read, as a hash."""
        return {
            source: str(entries["documents"]["recipe"]["text"])
            for source, entries in self.features.items()
        }

    @cached_property
    def recipes(self) -> dict[str, Mapping[str, Any]]:
        """The recipe of each node that has one."""
        found = {MIXTURE: self.mixture}
        found |= {f"fit/{folder}": recipe for folder, recipe in self.fit_recipes.items()}
        for source, entries in self.features.items():
            found |= {f"feature/{source}/{stage}": one["recipe"] for stage, one in entries.items()}
        return found

    @cached_property
    def addresses(self) -> dict[str, str]:
        """The hash by which a recipe names each node: fingerprint, version or digest."""
        found = {f"model/{kind}": digest for kind, digest in self.models.items()}
        found |= {f"fit/{folder}": self.fits[folder] for folder in self.fit_recipes}
        found |= {f"text/{source}": text for source, text in self.texts.items()}
        if after := self.mixture["mixture"].get("after"):
            found[f"version/{after['version']}"] = str(after["version"])
        for source, entries in self.features.items():
            found |= {
                f"feature/{source}/{stage}": one["fingerprint"] for stage, one in entries.items()
            }
        return found

    @cached_property
    def nodes_of(self) -> dict[str, list[str]]:
        """The nodes that each hash names: tables of one recipe have one hash for all sources."""
        found: dict[str, list[str]] = {}
        for node, address in self.addresses.items():
            found.setdefault(address, []).append(node)
        return found

    def needs(self, node: str) -> tuple[str, ...]:
        """Return the nodes that a node is made from."""
        if self.stated:
            return self.stated.get(node, ())
        return self.found_needs(node)

    def found_needs(self, node: str) -> tuple[str, ...]:
        """Return the nodes whose hashes a node's recipe names."""
        recipe = self.recipes.get(node)
        if recipe is None:
            return ()
        kind, _, rest = node.partition("/")
        source = rest.partition("/")[0] if kind == "feature" else ""
        found = (
            other
            for word in set(strings_in(recipe))
            for other in self.nodes_of.get(word, ())
            if other != node and self._may_need(str(recipe["stage"]), source, other)
        )
        return tuple(
            sorted(found, key=lambda other: (_KINDS.index(other.partition("/")[0]), other))
        )

    def _may_need(self, stage: str, source: str, other: str) -> bool:
        """Whether a node of a stage can be made from another that has a hash it names."""
        kind, _, rest = other.partition("/")
        if kind == "model":
            reference = rest.removeprefix(OTHER)
            readers = MODEL_READERS.get(rest, {f"perplexity-{reference}", "reference"})
            return stage in readers
        if kind == "fit":
            return True
        return not source or rest.partition("/")[0] == source

    def problems(self, version: str) -> list[str]:
        """Say in sentences where hashes and recipes do not belong together; none: all do.

        Args:
            version: The version that the recipe of the draw and the shards are to give.
        """
        found = []
        if (given := self.version) != version:
            found.append(f"its inputs give {given[:12]}")
        found += [
            f"the recipe of {stage} of {source} has another fingerprint than the one it names"
            for source, entries in self.features.items()
            for stage, entry in entries.items()
            if fingerprint(entry["recipe"]) != entry["fingerprint"]
        ]
        reached = self._reached()
        found += [
            f"no recipe of this version names {node} ({address[:12]})"
            for node, address in self.addresses.items()
            if node not in reached and not node.startswith(_NAMED_BY_CONTENT)
        ]
        return found

    @property
    def version(self) -> str:
        """The hash of the draw's recipe and of the shards."""
        inputs = sorted([source, digest, self.texts[source]] for source, digest in self.shards)
        return fingerprint({"recipe": self.mixture, "inputs": inputs})

    def _reached(self) -> set[str]:
        """Return the nodes to which a path of hashes leads from the mixture."""
        named: set[str] = set()
        waiting: list[Mapping[str, Any]] = [self.mixture]
        reached: set[str] = set()
        while waiting:
            for word in strings_in(waiting.pop()):
                if word in named:
                    continue
                named.add(word)
                for node in self.nodes_of.get(word, ()):
                    reached.add(node)
                    if node in self.recipes:
                        waiting.append(self.recipes[node])
        return reached
