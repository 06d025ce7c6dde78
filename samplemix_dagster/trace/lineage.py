"""The lineage of a mixture version: from the version to shard files and model files, as a graph.

Edges are those of the version's graph of recipes (``recipe_graph.py``). Whether each thing is still
in the lake is looked up; nothing is computed.
"""

from collections.abc import Mapping
from typing import Any

from samplemix_dagster.engine.addresses.recipe_graph import MIXTURE, OTHER, RecipeGraph
from samplemix_dagster.engine.foundation.reference import made_from
from samplemix_dagster.engine.places.shard_places import shard_places
from samplemix_dagster.engine.project import Project
from samplemix_dagster.stages.mixture.before import found_version
from samplemix_dagster.stages.mixture.published.mixture_manifest import read_traced
from samplemix_dagster.stages.stepping.fit_assets import fit_asset
from samplemix_dagster.storage.corpus.manifest import ledger_file
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.overlay import OverlayLake
from samplemix_dagster.trace.remade.pinned import scratch_over
from samplemix_dagster.trace.verify.rescoring import found_models

ROOT = "mixture"
Node = dict[str, Any]
"""A thing of the graph, as a JSON value."""


def lineage(project: Project, name: str, version: str) -> Node:
    """Return the graph of a version as a JSON value: ``nodes`` in order, the version first.

    A node has ``id``, ``kind`` (mixture, fit, feature, model, source or shard), ``name``,
    ``version`` (or digest), ``place``, ``asset``, ``note``, ``is_there`` and the ids of its
    ``inputs``.

    Raises:
        LakeError: There is no manifest, or it is damaged.
        CheckFailedError: The manifest does not have the published form.
    """
    manifest = read_traced(project, name, version)
    nodes = [_mixture(project, manifest), *_before(project, manifest)]
    nodes += _fits(project, manifest)
    nodes += _features(project, manifest)
    with scratch_over(project) as lake:
        nodes += _models(project, manifest, lake)
    nodes += _shards(project, manifest)
    known = {node["id"] for node in nodes}
    for node in nodes:
        node["inputs"] = [identity for identity in node["inputs"] if identity in known]
    return {
        **{key: manifest[key] for key in ("name", "version", "made_at", "made_by", "run_id")},
        **{key: manifest[key] for key in ("git", "samplemix_version", "packages")},
        "manifest": keys.manifest(name, version),
        "root": ROOT,
        "nodes": nodes,
    }


def _node(kind: str, identity: str, **values: Any) -> Node:
    base: dict[str, Any] = {
        "id": identity,
        "kind": kind,
        "asset": None,
        "note": "",
        "is_there": True,
        "inputs": [],
    }
    return {**base, **values}


def _mixture(project: Project, manifest: Mapping[str, Any]) -> Node:
    folder = keys.version_folder(manifest["name"], manifest["version"])
    report = manifest["report"]
    return _node(
        "mixture",
        ROOT,
        name=manifest["name"],
        version=manifest["version"],
        place=folder,
        asset=f"mixture/{manifest['name']}",
        note=f"{report['realised_tokens']:,} tokens in {report['num_draws']:,} draws",
        is_there=all(project.lake.exists(f"{folder}/{key}") for key in manifest["ledger"]),
        inputs=_inputs(RecipeGraph.of_manifest(manifest), MIXTURE),
    )


def _before(project: Project, manifest: Mapping[str, Any]) -> list[Node]:
    """Return the version that a mixture goes on from; its own lineage is asked for by its name."""
    after = manifest["config"].get("after")
    if after is None:
        return []
    version = str(after["version"])
    name, _ = found_version(project.lake, version) or ("", version)
    return [
        _node(
            "mixture",
            f"version/{version}",
            name=name,
            version=version,
            place=keys.version_folder(name, version) if name else "",
            asset=f"mixture/{name}" if name else None,
            note=f"its first {after['tokens']:,} tokens were consumed before",
            is_there=bool(name),
        )
    ]


def _fits(project: Project, manifest: Mapping[str, Any]) -> list[Node]:
    nodes, graph = [], RecipeGraph.of_manifest(manifest)
    for name, recipe in manifest["fit_recipes"].items():
        version = manifest["fits"][name]
        inputs = _inputs(graph, f"fit/{name}")
        if made := made_from(recipe):
            inputs = [f"source/{s}" for s in made.get("sources") or _sources(manifest)]
        nodes.append(
            _node(
                "fit",
                f"fit/{name}",
                name=name,
                version=version,
                place=keys.fit_folder(name, version),
                asset=fit_asset(name),
                is_there=project.lake.exists(keys.fit_note(keys.fit_folder(name, version))),
                inputs=inputs,
            )
        )
    return nodes


def _features(project: Project, manifest: Mapping[str, Any]) -> list[Node]:
    """Sources that share a recipe share a folder, and so a node."""
    graph = RecipeGraph.of_manifest(manifest)
    merged: dict[tuple[str, str], Node] = {}
    for source, entries in manifest["features"].items():
        digests = [s["digest"] for s in manifest["shards"] if s["source"] == source]
        for stage, entry in entries.items():
            identity = f"feature/{stage}/{entry['fingerprint']}"
            node = merged.setdefault(
                (stage, entry["fingerprint"]),
                _node(
                    "feature",
                    identity,
                    name=stage,
                    version=entry["fingerprint"],
                    place=entry["folder"],
                    asset=entry["asset"],
                    sources=[],
                    num_tables=0,
                    num_there=0,
                    inputs=_inputs(graph, f"feature/{source}/{stage}"),
                ),
            )
            there = project.lake.names(entry["folder"])
            node["sources"].append(source)
            node["num_tables"] += len(digests)
            node["num_there"] += sum(f"{digest}.parquet" in there for digest in digests)
            if "text" in entry["recipe"]:
                node["inputs"] = [*node["inputs"], f"source/{source}"]
    for node in merged.values():
        node["is_there"] = node["num_there"] == node["num_tables"]
        node["note"] = f"{node['num_there']} of {node['num_tables']} tables"
    return list(merged.values())


def _models(project: Project, manifest: Mapping[str, Any], lake: OverlayLake) -> list[Node]:
    nodes = []
    for kind, found in found_models(project, manifest, lake).items():
        entry = manifest["models"][kind]
        files = []
        if found.folder is not None and not found.problem:
            folder = found.folder if found.folder.is_dir() else found.folder.parent
            files = sorted(
                path.relative_to(folder).as_posix()
                for path in ([found.folder] if found.folder.is_file() else folder.rglob("*"))
                if path.is_file()
            )
        name = f"reference-{_reference(kind, manifest)}"
        trained = made_from(manifest["fit_recipes"].get(name, {}))
        nodes.append(
            _node(
                "model",
                f"model/{kind}",
                name=kind,
                version=entry["digest"],
                place=entry["found"] + (f" at {entry['revision']}" if entry["revision"] else ""),
                note=found.problem or f"{len(files)} files",
                is_there=not found.problem,
                files=files,
                inputs=[f"fit/{name}"] if trained else [],
            )
        )
    return nodes


def _reference(kind: str, manifest: Mapping[str, Any]) -> str:
    """Return the name of the reference that a kind of model is; empty where it is none."""
    if kind.startswith(OTHER):
        return kind.removeprefix(OTHER)
    return str(manifest["project"]["quality"]["reference"]) if kind == "reference" else ""


def _shards(project: Project, manifest: Mapping[str, Any]) -> list[Node]:
    places = shard_places(project, manifest)
    folder = keys.version_folder(manifest["name"], manifest["version"])
    sources, shards = [], []
    for source in _sources(manifest):
        own = [shard for shard in manifest["shards"] if shard["source"] == source]
        documents = 0
        for shard in own:
            key = f"{folder}/{ledger_file(source, shard['digest'])}"
            rows = project.lake.num_rows(key) if project.lake.exists(key) else 0
            documents += rows
            state, path = places[source, shard["digest"]]
            moved = "" if path == shard["path"] else f"; lies at {path}"
            shards.append(
                _node(
                    "shard",
                    f"shard/{source}/{shard['digest']}",
                    name=shard["path"],
                    version=shard["digest"],
                    place=shard["path"],
                    note=f"{rows:,} documents, {shard['size_bytes']:,} bytes"
                    + (moved if state == "there" else f"; {state}"),
                    is_there=state == "there",
                )
            )
        sources.append(
            _node(
                "source",
                f"source/{source}",
                name=source,
                version="",
                place="",
                asset="raw_shards",
                note=f"{len(own)} shards, {documents:,} documents",
                num_documents=documents,
                inputs=[f"shard/{source}/{shard['digest']}" for shard in own],
            )
        )
    return [*sources, *shards]


def _sources(manifest: Mapping[str, Any]) -> list[str]:
    return list(manifest["project"]["corpus"]["sources"])


def _inputs(graph: RecipeGraph, node: str) -> list[str]:
    """Return the ids of what a node is made from, but of how texts are read."""
    needs = (need for need in graph.needs(node) if not need.startswith("text/"))
    return list(dict.fromkeys(_identity(graph, need) for need in needs))


def _identity(graph: RecipeGraph, node: str) -> str:
    """Return a node's id in the page's graph: tables of one recipe are one node for all sources."""
    kind, _, rest = node.partition("/")
    if kind != "feature":
        return node
    source, _, stage = rest.partition("/")
    return f"feature/{stage}/{graph.features[source][stage]['fingerprint']}"
