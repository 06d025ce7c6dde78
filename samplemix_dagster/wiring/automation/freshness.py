"""How old a mixture may be: Dagster calls one overdue when nobody has seen it current for too long.

Dagster counts materialisations alone. So what was looked at and found current is noted as one again
(``staleness.py``): by a nightly tick that has nothing to do, and by a look once a night's period is
over. What is stale is never noted so, and becomes overdue.
"""

import datetime as dt
from itertools import pairwise

import dagster as dg
from dagster._utils.schedules import cron_string_iterator

from samplemix_dagster.engine.project import Project

_TICKS_LOOKED_AT = 60
_SLACK_SHARE = 4
"""A night may take a quarter of the time to the next."""
_LEAST_SECONDS = 60
"""Dagster takes no shorter window."""


def longest_wait(project: Project) -> dt.timedelta | None:
    """Return the longest time between two nights; None where no schedule is stated.

    Of lines with long gaps (``0 2 1 * *``) it is the longest of the next few years.
    """
    settings = project.config.schedule
    if "rescore" not in settings.model_fields_set:
        return None
    ticks = cron_string_iterator(
        dt.datetime.now(dt.UTC).timestamp(), settings.rescore, settings.timezone
    )
    found = [next(ticks) for _ in range(_TICKS_LOOKED_AT)]
    return max(later - earlier for earlier, later in pairwise(found))


def mixture_freshness(project: Project) -> dg.FreshnessPolicy | None:
    """Return within what time a mixture is to be made or found current; None where none is told."""
    wait = longest_wait(project)
    if wait is None:
        return None
    return dg.FreshnessPolicy.time_window(
        fail_window=max(wait + wait / _SLACK_SHARE, dt.timedelta(seconds=_LEAST_SECONDS))
    )
