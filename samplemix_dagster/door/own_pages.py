"""Pages of our own beside Dagster's: what a version of a mixture was made from.

They stand behind the door as Dagster's pages do, only read, and run no script.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from samplemix_dagster.door.middleware import Application, Receive, Scope, Send
from samplemix_dagster.errors import ConfigError, SampleMixError
from samplemix_dagster.pages.frame import render
from samplemix_dagster.show.presentation import LINEAGE_PAGE, lineage_address

_HEADERS = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    ),
)
_OTHERS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """A page, or why there is none."""

    status: int
    content: str


class OwnPages:
    """Answers what is asked below the address of our pages, and hands on everything else."""

    def __init__(self, app: Application, page: Callable[[str], Answer]) -> None:
        self.app = app
        self.page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        path = scope.get("path", "")
        is_reading = scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}
        if not is_reading or not path.startswith(LINEAGE_PAGE):
            await self.app(scope, receive, send)
            return
        answer = await asyncio.to_thread(self.page, path.removeprefix(LINEAGE_PAGE))
        content = answer.content.encode()
        headers = [*_HEADERS, (b"content-length", str(len(content)).encode())]
        start = {"type": "http.response.start", "status": answer.status, "headers": headers}
        await send(start)
        body = b"" if scope["method"] == "HEAD" else content
        await send({"type": "http.response.body", "body": body})


def lineage_pages(config: Path) -> Callable[[str], Answer]:
    """Return what answers ``MIXTURE`` (its current version) and ``MIXTURE/VERSION``."""

    def answer(words: str) -> Answer:
        try:
            return Answer(200, _lineage(config, *words.split("/")[:2]))
        except SampleMixError as error:
            return Answer(404, render("words.html", words=str(error)))
        except Exception:  # else a traceback would be the page
            logging.getLogger(__name__).exception("the page of a lineage")
            return Answer(
                500, render("words.html", words="This page failed; the terminal says why.")
            )

    return answer


def _lineage(config: Path, name: str, version: str = "") -> str:
    from samplemix_dagster.engine.project import Project
    from samplemix_dagster.pages.lineage import lineage_page
    from samplemix_dagster.stages.mixture.published.version_files import export_asset
    from samplemix_dagster.trace.lineage import lineage
    from samplemix_dagster.trace.versions import list_versions, resolve_version

    if not name:
        raise ConfigError(
            f"{LINEAGE_PAGE} goes on with a mixture's name, and with / and a version."
        )
    project = Project.open(config)
    found = lineage(project, *resolve_version(project, f"{name}@{version}" if version else name))
    mixture = found["name"]
    others = [
        (f"{one['version'][:8]}{' (current)' if one['is_current'] else ''}", one["version"])
        for one in list_versions(project)
        if one["name"] == mixture and one["version"] != found["version"]
    ]
    links = [
        ("the mixture", f"/assets/mixture/{mixture}"),
        *(
            (f"its export {one}".strip(), f"/assets/{export_asset(mixture, one)}")
            for one in project.config.exports_of(mixture)
        ),
        ("scores", "/assets/document_scores"),
        ("law", "/assets/beta_parameters"),
        ("report", "/assets/mixture_totals"),
        *(
            (f"version {words}", lineage_address(mixture, v))
            for words, v in others[-_OTHERS_SHOWN:]
        ),
    ]
    return lineage_page(found, links)
