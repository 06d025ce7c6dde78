"""What a hook's body looks like to others: a message for Slack, an event of OpenLineage.

Both are made from the plain body, which ``hooks.py`` makes. No URL's query and no user of a URL is
in either, since they may be secrets.
"""

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from samplemix_dagster import __version__
from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.engine.project import Project
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.table_contract import Table
from samplemix_dagster.tables import LEDGER
from samplemix_dagster.trace.versions import load_manifest

NEW_VERSION = "new_version"
_SHOWN_FAILURES = 8
_HEADER_CHARACTERS, _TEXT_CHARACTERS = 150, 2_900
"""Slack refuses a header of more than 150 characters, and a section of more than 3,000."""
_PRODUCER = f"pkg:pypi/samplemix-dagster@{__version__}"
_SPECIFICATION = "https://openlineage.io/spec"
_EVENT_SCHEMA = f"{_SPECIFICATION}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS = {
    "version": "1-0-1/DatasetVersionDatasetFacet",
    "schema": "1-1-1/SchemaDatasetFacet",
    "errorMessage": "1-0-1/ErrorMessageRunFacet",
}

Body = dict[str, object]


def slack_message(body: Mapping[str, Any]) -> Body:
    """Return a message: ``text`` for a notification, ``blocks`` for the channel."""
    is_new = body["event"] == NEW_VERSION
    headline = _new_headline(body) if is_new else _failed_headline(body)
    blocks = [
        {
            "type": "header",
            "text": {"type": "plain_text", "text": headline[:_HEADER_CHARACTERS]},
        },
        *([_fields(body)] if is_new else [_failures(body)]),
        {"type": "context", "elements": [_markdown(_origin(body))]},
    ]
    return {"text": _escaped(headline), "blocks": blocks}


def _new_headline(body: Mapping[str, Any]) -> str:
    return (
        f"Mixture {body['mixture']} of {body['project']} has a new version, {body['version'][:12]}"
    )


def _failed_headline(body: Mapping[str, Any]) -> str:
    count = len(body["failures"])
    what = "1 failure" if count == 1 else f"{count:,} failures"
    return f"{what} in {body['where'] or 'a run'} of {body['project']}"


def _fields(body: Mapping[str, Any]) -> Body:
    figures = {
        "Tokens": f"{body['realised_tokens']:,} of {body['budget_tokens']:,}",
        "Documents drawn": f"{body['num_documents_drawn']:,}",
        "Draws": f"{body['num_draws']:,}",
        "Mean quality": f"{body['mean_quality']:.3f}",
        "Mean diversity": f"{body['mean_diversity']:.3f}",
        "Before it": (body["previous_version"] or "none")[:12],
    }
    fields = [_markdown(f"*{name}*\n{value}") for name, value in figures.items()]
    return {"type": "section", "fields": fields}


def _failures(body: Mapping[str, Any]) -> Body:
    shown = body["failures"][:_SHOWN_FAILURES]
    room = _TEXT_CHARACTERS // max(len(shown), 1)
    lines = [f"• {_shortened(sentence, room)}" for sentence in shown]
    left = len(body["failures"]) - len(shown)
    if left:
        lines.append(f"and {left:,} more")
    return {"type": "section", "text": _markdown("\n".join(lines) or "No reason was given.")}


def _shortened(sentence: str, room: int) -> str:
    """Return a sentence that stays within some characters once it is escaped."""
    kept = sentence
    while len(_escaped(kept)) > room - 4:
        kept = kept[: len(kept) - max(1, (len(_escaped(kept)) - room + 4) // 5)]
    return _escaped(kept if kept == sentence else f"{kept}…")


def _origin(body: Mapping[str, Any]) -> str:
    runs = ", ".join(run_id[:8] for run_id in body["run_ids"][:5])
    return _escaped(f"SampleMix, {body['at']}" + (f", run {runs}" if runs else ""))


def _markdown(text: str) -> Body:
    return {"type": "mrkdwn", "text": text}


def _escaped(text: str) -> str:
    """Return a text in which Slack finds no link, mention or entity."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def lineage_event(project: Project, body: Mapping[str, Any]) -> Body:
    """Return a RunEvent: what was read and made under which digests, or what failed."""
    is_new = body["event"] == NEW_VERSION
    name = f"mixture/{body['mixture']}" if is_new else body["where"] or "run"
    run: Body = {"runId": _run_id(body)}
    if not is_new:
        facts = {"message": "\n".join(body["failures"]), "programmingLanguage": "PYTHON"}
        run["facets"] = {"errorMessage": _facet("errorMessage", facts)}
    return {
        "eventType": "COMPLETE" if is_new else "FAIL",
        "eventTime": body["at"],
        "producer": _PRODUCER,
        "schemaURL": _EVENT_SCHEMA,
        "run": run,
        "job": {"namespace": f"samplemix/{body['project']}", "name": name},
        "inputs": _inputs(project, body) if is_new else [],
        "outputs": [_output(project, body)] if is_new else [],
    }


def _run_id(body: Mapping[str, Any]) -> str:
    """Return the id of Dagster's run, a UUID; without one, an id of the event's own."""
    for run_id in body["run_ids"]:
        try:
            return str(uuid.UUID(run_id))
        except ValueError:
            continue
    return str(uuid.uuid5(uuid.NAMESPACE_URL, fingerprint(dict(body))))


def _inputs(project: Project, body: Mapping[str, Any]) -> list[Body]:
    """Return the sources, each under a digest of its shards, and the fits under their versions."""
    manifest = load_manifest(project, body["mixture"], body["version"])
    digests: dict[str, list[str]] = {}
    for shard in manifest["shards"]:
        digests.setdefault(shard["source"], []).append(shard["digest"])
    sources = [
        _dataset(place, version=fingerprint(sorted(found)))
        for source, found in digests.items()
        for place in _places(project, source)
    ]
    fits = [
        _dataset(project.lake.place(keys.fits_folder(name)), version=manifest["fits"][name])
        for name in manifest["fit_recipes"]
    ]
    return sources + fits


def _places(project: Project, source: str) -> list[str]:
    """Return where a source is: its globs and URLs, local ones in full."""
    settings = project.config.corpus.sources.get(source)
    if settings is None:
        return []
    given = [settings.path] if isinstance(settings.path, str) else settings.path
    return [one if "://" in one else str(project.root / Path(one).expanduser()) for one in given]


def _output(project: Project, body: Mapping[str, Any]) -> Body:
    place = project.lake.place(keys.versions_folder(body["mixture"]))
    return _dataset(place, version=body["version"], table=LEDGER)


def _dataset(place: str, *, version: str, table: Table | None = None) -> Body:
    namespace, name = _named(place)
    facets = {"version": _facet("version", {"datasetVersion": version})}
    if table is not None:
        fields: Sequence[Body] = [
            {"name": column.name, "type": str(column.type), "description": column.meaning}
            for column in table.columns
        ]
        facets["schema"] = _facet("schema", {"fields": fields})
    return {"namespace": namespace, "name": name, "facets": facets}


def _named(place: str) -> tuple[str, str]:
    """Return (namespace, name) of a place, as OpenLineage names files and objects."""
    if "://" not in place:
        return "file", place
    parts = urlsplit(place)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", parts.path.lstrip("/")


def _facet(name: str, facts: Mapping[str, Any]) -> Body:
    path = _FACETS[name]
    schema = f"{_SPECIFICATION}/facets/{path}.json#/$defs/{path.partition('/')[2]}"
    return {"_producer": _PRODUCER, "_schemaURL": schema, **facts}
