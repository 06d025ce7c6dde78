"""Tell others what happened: a POST to a URL and a command line, with a JSON body.

A hook that fails changes nothing of a run: what went wrong comes back as a sentence that names the
hook. The URL may be a secret, so neither it nor anything made from it is in a sentence, a body or
an exception. When events happen is decided by those who publish and who run.
"""

import json
import os
import shlex
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any

from samplemix_dagster.config.around import Hook
from samplemix_dagster.engine.project import Project
from samplemix_dagster.runs.hooks.hook_forms import NEW_VERSION, lineage_event, slack_message
from samplemix_dagster.stages.mixture.published.publishing import Publication, current_or_none
from samplemix_dagster.trace.versions import load_manifest

FAILURE = "failure"
_ENVIRONMENT = "env:"
_TRIES = 3
_WAIT_SECONDS = 1.0
_SCHEMA = 1


def tell_failure(
    project: Project, failures: Sequence[str], run_ids: Iterable[str] = (), where: str = ""
) -> list[str]:
    """Tell that something failed; return a sentence for each hook that could not be called.

    Args:
        project: The project.
        failures: One sentence a failure.
        run_ids: Dagster runs that it happened in.
        where: What ran: a job, a run from the UI, the command line.
    """
    hook = project.config.hooks.failure
    if hook is None:
        return []
    body = {
        "failures": list(failures),
        "run_ids": list(run_ids),
        "where": where,
        "current_versions": {
            name: current_or_none(project, name) for name in project.config.mixtures
        },
    }
    return _call(project, FAILURE, hook, body)


def tell_new_version(project: Project, made: Publication, run_ids: Iterable[str] = ()) -> list[str]:
    """Tell that a mixture has a new current version; return what could not be called."""
    hook = project.config.hooks.new_version
    if hook is None:
        return []
    report = load_manifest(project, made.mixture, made.version)["report"]
    names = (
        "budget_tokens",
        "realised_tokens",
        "num_documents_drawn",
        "num_draws",
        "mean_quality",
        "mean_diversity",
    )
    body = {
        "mixture": made.mixture,
        "version": made.version,
        "previous_version": made.previous,
        **{name: report[name] for name in names},
        "run_ids": list(run_ids),
    }
    return _call(project, NEW_VERSION, hook, body)


def _call(project: Project, event: str, hook: Hook, facts: Mapping[str, object]) -> list[str]:
    body = {
        "schema": _SCHEMA,
        "event": event,
        "project": project.root.name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        **facts,
    }
    content = json.dumps(_formed(project, hook, body), ensure_ascii=False).encode()
    problems = []
    if hook.webhook is not None:
        problems.append(_post(hook.webhook, content, hook.timeout))
    if hook.command is not None:
        problems.append(_run(hook.command, content, hook.timeout, project))
    return [f"hooks.{event}: {problem}" for problem in problems if problem]


def _formed(project: Project, hook: Hook, body: Mapping[str, object]) -> Mapping[str, object]:
    if hook.format == "slack":
        return slack_message(body)
    return lineage_event(project, body) if hook.format == "openlineage" else body


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A body is posted to the URL that was configured, and to no other."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        del args, kwargs


def _post(webhook: str, content: bytes, timeout: int) -> str:
    """Post a body; return what went wrong, without the URL, or nothing."""
    url = webhook
    if webhook.startswith(_ENVIRONMENT):
        name = webhook.removeprefix(_ENVIRONMENT)
        url = os.environ.get(name, "").strip()
        if not url:
            return f"the webhook was not called: the environment has no {name}"
    if not url.lower().startswith(("http://", "https://")):
        return "the webhook was not called: its URL begins with neither http:// nor https://"
    opener = urllib.request.build_opener(_NoRedirect)
    problem = ""
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_WAIT_SECONDS * attempt)
        problem, can_pass = _post_once(opener, url, content, timeout)
        if not problem or not can_pass:
            break
    return problem


def _post_once(
    opener: urllib.request.OpenerDirector, url: str, content: bytes, timeout: int
) -> tuple[str, bool]:
    """Return (what went wrong or nothing, whether another try can help)."""
    headers = {"Content-Type": "application/json", "User-Agent": "samplemix"}
    try:
        request = urllib.request.Request(url, data=content, headers=headers, method="POST")  # noqa: S310  http(s) only, checked
        with opener.open(request, timeout=timeout):
            return "", False
    except urllib.error.HTTPError as error:
        error.close()
        return f"the webhook answered {error.code}", error.code >= 500 or error.code == 429
    except (urllib.error.URLError, HTTPException, OSError) as error:
        reason = getattr(error, "reason", error)
        kind = type(reason if isinstance(reason, BaseException) else error).__name__
        return f"the webhook could not be reached ({kind})", kind != "InvalidURL"
    except ValueError:
        return "the webhook was not called: its URL cannot be read", False


def _run(command: str | list[str], content: bytes, timeout: int, project: Project) -> str:
    """Run a command with the body on its standard input; return what went wrong, or nothing."""
    try:
        words = shlex.split(command) if isinstance(command, str) else command
        done = subprocess.run(  # the command is the user's own
            words,
            input=content,
            timeout=timeout,
            cwd=project.root,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"the command took longer than {timeout} s and was stopped"
    except (OSError, ValueError, IndexError) as error:
        return f"the command could not be started ({type(error).__name__})"
    return f"the command ended with {done.returncode}" if done.returncode else ""
