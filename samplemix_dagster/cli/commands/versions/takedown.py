"""The commands of ``samplemix takedown``: take documents out of what comes, and prove it."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from samplemix_dagster.cli.options import CONFIG, ConfigOption, JsonOption, open_project
from samplemix_dagster.errors import CheckFailedError, ConfigError, InputError
from samplemix_dagster.show.terminal import print_json, print_lines, say
from samplemix_dagster.storage.urls import spellings_of

if TYPE_CHECKING:
    from samplemix_dagster.storage.takedowns import Takedowns

takedown_app = typer.Typer(
    help="What was taken down: add, list, prove.", no_args_is_help=True, rich_markup_mode=None
)
_SHOWN = 5


@takedown_app.command("add")
def takedown_add(
    reason: Annotated[str, typer.Option(help="Why, in a few words; the ledger says it.")],
    ids: Annotated[
        Path | None, typer.Option(help="Document ids, or SOURCE:ID, one a line.")
    ] = None,
    urls: Annotated[Path | None, typer.Option(help="URLs, one a line.")] = None,
    texts: Annotated[
        Path | None, typer.Option(help="One text, or .jsonl with `text` in each line.")
    ] = None,
    domains: Annotated[
        Path | None, typer.Option(help="Domains, one a line; what is below goes too.")
    ] = None,
    *,
    config: ConfigOption = CONFIG,
    json: JsonOption = False,
) -> None:
    """Name documents that no version may draw from now on; say which versions hold them."""
    from samplemix_dagster.stages.exclusions.takedown import takedown_file
    from samplemix_dagster.storage.takedown_entries import entries_of, is_one_text
    from samplemix_dagster.storage.takedowns import Takedowns, add_takedowns
    from samplemix_dagster.trace.takedown import holdings, matches

    project = open_project(config)
    files = {"id": ids, "url": urls, "text": texts, "domain": domains}
    if not any(files.values()):
        raise ConfigError("takedown add: name at least one of --ids, --urls, --texts, --domains.")
    if not reason.strip():
        raise ConfigError("takedown add: --reason says why; an empty one says nothing.")
    today = dt.datetime.now(dt.UTC).date().isoformat()
    read = [entries_of(what, file, reason.strip(), today) for what, file in files.items() if file]
    found, _ = matches(project, Takedowns(tuple(entry for part in read for entry in part)))
    named = Takedowns(
        tuple(
            entry
            for part, file in zip(read, filter(None, files.values()), strict=True)
            for entry in (_as_it_stands(part, found) if is_one_text(file, part) else part)
        )
    )
    new = add_takedowns(takedown_file(project), named.entries)
    found, num_unread = matches(project, named)
    versions = holdings(project, named)
    if json:
        print_json(
            {
                "num_added": len(new),
                "num_known": len(named.by_key) - len(new),
                "matched": [_counted(named.by_key[key], ids) for key, ids in found.items()],
                "num_shards_unread": num_unread,
                "versions": versions,
            }
        )
        return
    known = len(named.by_key) - len(new)
    before = f"; {known:,} stood there already" if known else ""
    print_lines([f"{len(new):,} added to {takedown_file(project).name}{before}."])
    _say_matches(named, found, num_unread)
    _show_versions(versions)
    if versions:
        print_lines(["", "`samplemix run` draws the next versions without them."])


def _as_it_stands(
    entries: Sequence[Any], found: Mapping[tuple[str, str], Collection[str]]
) -> Sequence[Any]:
    """Return of two readings of one text, with its last line's end and without, what is there."""
    return [entry for entry in entries if found[entry.key]] or entries[:1]


def _counted(entry: Any, documents: Collection[str]) -> Mapping[str, Any]:
    return {"what": entry.what, "value": entry.value, "num_documents": len(documents)}


def _documents(count: int) -> str:
    return "1 document" if count == 1 else f"{count:,} documents"


def _say_matches(
    named: "Takedowns", found: Mapping[tuple[str, str], set[str]], num_unread: int
) -> None:
    """Say what of the corpus is named, and warn of what names nothing."""
    documents = set().union(*found.values())
    print_lines([f"{_documents(len(documents))} of the corpus named."])
    nothing = [
        f"{named.by_key[key].what} {key[1]}"
        for key, ids in found.items()
        if not ids and not _is_found_otherwise(key, found)
    ]
    if nothing:
        more = f" and {len(nothing) - _SHOWN:,} more" if len(nothing) > _SHOWN else ""
        say(
            f"warning: {len(nothing):,} of {len(found):,} name nothing that has been read: "
            f"{'; '.join(nothing[:_SHOWN])}{more}. They stay on the list, for what may come."
        )
        if any(what in {"url", "domain"} for what, _ in found) and not documents:
            say("A document has a URL where `metadata` of its source names the field that has it.")
    if num_unread:
        say(f"warning: {num_unread:,} shards have not been read; `samplemix run` reads them.")


def _is_found_otherwise(
    key: tuple[str, str], found: Mapping[tuple[str, str], Collection[str]]
) -> bool:
    """Whether the other spelling of a host names something."""
    what, value = key
    others = spellings_of(value) if what in {"url", "domain"} else ()
    return any(found.get((what, other)) for other in others)


def _show_versions(versions: Sequence[Mapping[str, Any]]) -> None:
    from samplemix_dagster.show.printed_table import print_table

    if not versions:
        print_lines(["No version draws any of them."])
        return
    rows = []
    for one in versions:
        name = f"{one['name']}@{one['version'][:12]}" + (" *" if one["is_current"] else "")
        counts = (len(one["documents"]), one["num_draws"])
        rows += [
            (name, *counts, export["export"], _places(export["draws"]))
            for export in one["exports"] or [{"export": "-", "draws": []}]
        ]
    print_lines(["", "They are drawn by (* is current; --json has every place):"])
    print_table(["version", "documents", "draws", "export", "where"], rows)


def _places(draws: Sequence[Mapping[str, Any]]) -> str:
    """Return the first places of draws in an export, by file."""
    by_file: dict[str, list[int]] = {}
    for draw in draws[:_SHOWN]:
        by_file.setdefault(draw["file"], []).append(draw["offset"])
    shown = [f"{file}: {', '.join(map(str, places))}" for file, places in by_file.items()]
    more = f"; {len(draws) - _SHOWN:,} more" if len(draws) > _SHOWN else ""
    return "; ".join(shown) + more


@takedown_app.command("list")
def takedown_list(config: ConfigOption = CONFIG, json: JsonOption = False) -> None:
    """List what was taken down, with the documents of the corpus that each line names."""
    from samplemix_dagster.show.printed_table import print_table
    from samplemix_dagster.trace.takedown import listed, matches

    project = open_project(config)
    named = listed(project)
    found, num_unread = matches(project, named)
    rows = [
        {"what": e.what, "value": e.value, "reason": e.reason, "added": e.added}
        | {"num_documents": len(found[key])}
        for key, e in named.by_key.items()
    ]
    if json:
        print_json(rows)
        return
    if not rows:
        say("Nothing was taken down; `samplemix takedown add` does it.")
        return
    names = ["what", "value", "reason", "added", "documents"]
    print_table(names, [tuple(row.values()) for row in rows])
    nothing = sum(not ids for ids in found.values())
    if nothing:
        say(f"{nothing:,} of {len(rows):,} name nothing that has been read.")
    if num_unread:
        say(f"warning: {num_unread:,} shards have not been read; `samplemix run` reads them.")


@takedown_app.command("prove")
def takedown_prove(
    mixture: Annotated[str, typer.Argument(help="NAME, NAME@VERSION or a version.")],
    config: ConfigOption = CONFIG,
    json: JsonOption = False,
) -> None:
    """Print the query that shows that a version draws nothing taken down, and run it.

    Exit code 3 when it draws some of it.
    """
    from samplemix_dagster.stages.exclusions.takedown import takedown_file
    from samplemix_dagster.trace.takedown import Holdings, exports_of, listed
    from samplemix_dagster.trace.takedown_proof import proof
    from samplemix_dagster.trace.versions import resolve_version

    project = open_project(config)
    name, version = resolve_version(project, mixture)
    if not takedown_file(project).is_file():
        raise InputError(
            "nothing was taken down: there is no takedown.jsonl beside samplemix.yaml."
        )
    ours = Holdings(project, listed(project)).of_version(name, version)
    found = proof(project, name, version)
    of = {"name": name, "version": version}
    exports = [folder for folder, _ in exports_of(project, of)]
    agrees = {row["doc_id"] for row in found["held"]} == set(ours)
    found = {**found, "exports": exports, "agrees": agrees}
    if json:
        print_json(found)
    else:
        print_lines([found["query"], ""])
    if not agrees:
        raise CheckFailedError(
            f"the query finds {len(found['held']):,} documents of {name}@{version[:12]}, and the "
            f"list names {len(ours):,} that it draws: one of the two is wrong."
        )
    if found["held"]:
        draws = sum(row["copies"] for row in found["held"])
        raise CheckFailedError(
            f"{name}@{version[:12]} draws {_documents(len(found['held']))} taken down since, "
            f"in {draws:,} draw{'' if draws == 1 else 's'}: it was made before that. "
            "`samplemix run` makes one without them."
        )
    if not json:
        where = f" Its exports were written from it: {', '.join(exports)}." if exports else ""
        print_lines([f"{name}@{version[:12]} draws nothing that was taken down (0 rows).{where}"])
