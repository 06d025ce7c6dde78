"""The words of a cause: what changed in each input."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from samplemix_dagster import tables
from samplemix_dagster.config.scoring.scores import Quality
from samplemix_dagster.engine.addresses.recipe_graph import OTHER
from samplemix_dagster.engine.foundation.reference import made_from
from samplemix_dagster.engine.project import Project
from samplemix_dagster.storage.corpus.manifest import ledger_file
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.trace.remade.states import effective_diversity, state_of

_MADE_ANEW = {"corpus", "beta", "exclusions"}
"""Fits that are made for every corpus: they are no refit."""
_PATHS = 3
_NO_DIALS = {"budget_tokens", "after", "seed"}


def cause_words(
    project: Project, a: Mapping[str, Any], b: Mapping[str, Any], causes: Sequence[str]
) -> list[str]:
    """Return sentences on what changed in the inputs of some causes."""
    words: list[str] = []
    for cause in causes:
        words += {
            "data": lambda: _data_words(project, a, b),
            "reference": lambda: _reference_words(a, b),
            "tokenizer": lambda: _model_words("tokenizer", a, b),
            "encoder": lambda: [
                *_model_words("encoder", a, b),
                *_changes(
                    {"encoder.max_tokens": a["project"]["encoder"]["max_tokens"]},
                    {"encoder.max_tokens": b["project"]["encoder"]["max_tokens"]},
                ),
            ],
            "refit": lambda: _refit_words(a, b),
            "settings": lambda: _setting_words(a, b),
            "labels": lambda: _label_words(a, b),
            "exclusions": lambda: [_exclusion_words(a, b)],
            "dials": lambda: _dial_words(a, b),
            "budget": lambda: [
                f"budget_tokens: {a['config']['budget_tokens']:,} -> "
                f"{b['config']['budget_tokens']:,}"
            ],
            "after": lambda: [f"after: {_after_words(a)} -> {_after_words(b)}"],
            "seed": lambda: [f"seed: {a['config']['seed']} -> {b['config']['seed']}"],
            "code": lambda: _code_words(a, b),
            "unexplained": lambda: [
                "the stored ledger is not what the stored features give; `samplemix mixture "
                "verify` says which files differ"
            ],
        }[cause]()
    return words


# -- data -----------------------------------------------------------------------------------------


def data_changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, list[dict[str, object]]]:
    """Return the shards that were added, removed and rewritten; a renamed one is none of them."""
    before = {(shard["source"], shard["digest"]): shard for shard in a["shards"]}
    after = {(shard["source"], shard["digest"]): shard for shard in b["shards"]}
    gone = {key: shard for key, shard in before.items() if key not in after}
    by_path = {(shard["source"], shard["path"]): key for key, shard in gone.items()}
    added, rewritten = [], []
    for key, shard in after.items():
        if key in before:
            continue
        former = by_path.get((shard["source"], shard["path"]))
        if former is None and (shard["source"], shard["previous"]) in gone:
            former = (shard["source"], shard["previous"])
        if former is None:
            added.append(dict(shard))
        else:
            rewritten.append({**shard, "before": former[1]})
            gone.pop(former, None)
    return {"added": added, "removed": [dict(s) for s in gone.values()], "rewritten": rewritten}


def _data_words(project: Project, a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    found = data_changes(a, b)
    words = []
    for kind, manifest in (("added", b), ("removed", a)):
        if found[kind]:
            documents, tokens = _content(project, manifest, found[kind])
            words.append(
                f"{_shards(found[kind])} {kind}: {documents:,} documents, {tokens:,} tokens"
            )
    if found["rewritten"]:
        former = [{**shard, "digest": shard["before"]} for shard in found["rewritten"]]
        before, after = _ids(project, a, former), _ids(project, b, found["rewritten"])
        words.append(
            f"{_shards(found['rewritten'])} rewritten: of its texts {len(after - before):,} came, "
            f"{len(before - after):,} went and {len(after & before):,} stayed"
        )
    settings = _changes(_reading(a), _reading(b), "corpus.")
    if not settings and (sources := _read_otherwise(a, b)):
        words.append(f"{', '.join(sources)}: read by other readers than before")
    return [*words, *settings]


def _read_otherwise(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Return the sources of both that were read by another recipe."""
    texts = [
        {name: part["documents"]["recipe"]["text"] for name, part in manifest["features"].items()}
        for manifest in (a, b)
    ]
    return sorted(name for name in texts[0].keys() & texts[1] if texts[0][name] != texts[1][name])


def _reading(manifest: Mapping[str, Any]) -> dict[str, object]:
    """How the corpus is read. Where it lies is no part of it: a moved shard is the same shard."""
    found = _flat(manifest["project"]["corpus"])
    return {key: value for key, value in found.items() if not key.endswith((".path", ".parts"))}


def _shards(shards: Sequence[Mapping[str, Any]]) -> str:
    paths = [shard["path"] for shard in shards]
    more = f" and {len(paths) - _PATHS} more" if len(paths) > _PATHS else ""
    noun = "shard" if len(paths) == 1 else "shards"
    return f"{len(paths)} {noun} ({', '.join(paths[:_PATHS])}{more})"


def _content(
    project: Project, manifest: Mapping[str, Any], shards: Sequence[Mapping[str, Any]]
) -> tuple[int, int]:
    documents = tokens = 0
    for table in _ledgers(project, manifest, shards, ["num_tokens"]):
        documents += table.num_rows
        tokens += int(table.column("num_tokens").to_numpy().sum())
    return documents, tokens


def _ids(
    project: Project, manifest: Mapping[str, Any], shards: Sequence[Mapping[str, Any]]
) -> set[str]:
    tables = _ledgers(project, manifest, shards, ["doc_id"])
    return {identity for table in tables for identity in table.column("doc_id").to_pylist()}


def _ledgers(
    project: Project,
    manifest: Mapping[str, Any],
    shards: Sequence[Mapping[str, Any]],
    columns: list[str],
) -> Iterator[Any]:
    folder = keys.version_folder(manifest["name"], manifest["version"])
    for shard in shards:
        key = f"{folder}/{ledger_file(shard['source'], shard['digest'])}"
        yield project.lake.read_table(key, columns)


# -- models, fits, settings ---------------------------------------------------------------------


def _model_words(kind: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    before, after = (_found_at(manifest["models"].get(kind)) for manifest in (a, b))
    return [] if before[0] == after[0] else [f"{kind}: {before[1]} -> {after[1]}"]


def _found_at(model: Mapping[str, Any] | None) -> tuple[str, str]:
    """Return the digest of a model, and where it is as a person says it."""
    if model is None:
        return "", "none"
    return model["digest"], f"{model['found']} ({model['digest'][:12]})"


def _reference_words(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    others = sorted({*a["models"], *b["models"]})
    words = _model_words("reference", a, b)
    for kind in (other for other in others if other.startswith(OTHER)):
        words += _model_words(kind, a, b)
    name = f"reference-{b['project']['quality']['reference']}"
    recipes = (a["fit_recipes"].get(name), b["fit_recipes"].get(name))
    if words and recipes[0] == recipes[1] and made_from(recipes[1] or {}):
        words.append("it was made again by the same recipe, because the data changed")
    named = ("overlap_tokens", "context_tokens")
    before = {key: a["project"]["quality"][key] for key in named}
    after = {key: b["project"]["quality"][key] for key in named}
    words += _changes(before, after, "quality.")
    return [*words, *_changes({"dtype": a["machine"]["dtype"]}, {"dtype": b["machine"]["dtype"]})]


def _refit_words(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    again = [
        name
        for name in sorted({*a["fit_recipes"], *b["fit_recipes"]} - _MADE_ANEW)
        if a["fits"].get(name) != b["fits"].get(name) and not name.startswith("reference-")
    ]
    policy = b["project"]["diversity"]["refit"]
    why = {
        "always": "`refit: always` makes them again whenever the data changes",
        "never": "they were asked for",
    }.get(policy if isinstance(policy, str) else "", "the data had drifted, or they were asked for")
    return [f"fitted again: {', '.join(again)}; {why}"]


def _quality(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the section ``quality``, with the keys that came after the version was made."""
    recorded: Mapping[str, Any] = manifest["project"]["quality"]
    return {**Quality.LATER, **recorded}


def _setting_words(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    left_out = {"reference", "overlap_tokens", "context_tokens"}
    before, after = (
        _flat({k: v for k, v in _quality(m).items() if k not in left_out}) for m in (a, b)
    )
    words = _changes(before, after, "quality.")
    before, after = (_flat(effective_diversity(m["project"]["diversity"])) for m in (a, b))
    words += _changes(before, after, "diversity.")
    words += _file_words(a, b)
    return words or ["the code of a metric of your own"]


def _file_words(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Say which files from outside have other bytes in both versions."""
    before, after = (state_of(manifest).settings["files"] for manifest in (a, b))
    return [
        f"{owner}: its file changed ({_short(before[owner])} -> {_short(after[owner])})"
        for owner in sorted(before.keys() & after.keys())
        if before[owner] != after[owner]
    ]


def _short(digests: Sequence[str]) -> str:
    return ", ".join(digest[:12] for digest in digests)


def _label_words(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    before, after = (_flat(state_of(manifest).labels) for manifest in (a, b))
    return _changes(before, after, "labels.")


def _exclusion_words(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    before, after = (_excluded(manifest) for manifest in (a, b))
    changes = [
        f"{reason} {before.get(reason, 0):,} -> {after.get(reason, 0):,} documents"
        for reason in tables.EXCLUSIONS
        if before.get(reason) != after.get(reason)
    ]
    return "; ".join(changes) or "other documents, as many for each reason, or other details"


def _excluded(manifest: Mapping[str, Any]) -> dict[str, int]:
    found = manifest["report"].get("excluded", {})
    return {reason: int(entry["documents"]) for reason, entry in found.items()}


def _after_words(manifest: Mapping[str, Any]) -> str:
    after = manifest["config"].get("after")
    if after is None:
        return "nothing"
    return f"{after['tokens']:,} tokens of version {after['version'][:12]}"


def _dial_words(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    before, after = (
        _flat({k: v for k, v in m["config"].items() if k not in _NO_DIALS}) for m in (a, b)
    )
    return _changes(before, after)


def _code_words(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    words = []
    versions = [_versions(a), _versions(b)]
    for name in sorted({*versions[0], *versions[1]}):
        before, after = versions[0].get(name), versions[1].get(name)
        if before != after:
            words.append(f"stage {name}: version {before} -> {after}")
    return words


def _versions(manifest: Mapping[str, Any]) -> dict[str, int]:
    recipes = [e["recipe"] for part in manifest["features"].values() for e in part.values()]
    recipes += [*manifest["fit_recipes"].values(), manifest["recipe"]]
    return {recipe["stage"]: recipe["stage_version"] for recipe in recipes}


def _flat(value: Any, head: str = "") -> dict[str, object]:
    if not isinstance(value, Mapping):
        return {head: value}
    found: dict[str, object] = {}
    for key, inner in value.items():
        found |= _flat(inner, f"{head}.{key}" if head else str(key))
    return found


def _changes(before: Mapping[str, Any], after: Mapping[str, Any], head: str = "") -> list[str]:
    return [
        f"{head}{key}: {_said(before.get(key))} -> {_said(after.get(key))}"
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    ]


def _said(value: Any) -> str:
    return "absent" if value is None else str(value)
