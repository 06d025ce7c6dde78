"""The sections of ``samplemix.yaml`` around the method: where it runs, when, who is told.

Nothing here changes a result, so none of it is part of a recipe or of a version.
"""

import re
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from samplemix_dagster.config.text.cron import check_cron
from samplemix_dagster.section import Section, Size

TokenizingLibrary = Literal["tokenizers", "gigatoken"]


class Schedule(Section):
    """What runs by itself."""

    rescore: str = "0 2 * * *"
    """Cron line of the nightly run."""
    timezone: str = "UTC"
    """Time zone of the cron line."""

    @field_validator("rescore")
    @classmethod
    def _is_cron(cls, rescore: str) -> str:
        check_cron(rescore)
        return rescore

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"no time zone {timezone!r} is known here; one is called UTC or Europe/Berlin"
            ) from None
        return timezone


class Sensor(Section):
    """How new, changed and removed shards are noticed between nightly runs."""

    interval: int = Field(default=60, ge=5)
    """Seconds between two looks."""
    settled: Literal["two_looks", "marker"] = "two_looks"
    """A file is taken when two looks agree on its size and time, or when its marker is there."""
    marker: str = Field(default=".done", min_length=1)
    """Ending of a marker file: ``part-7.jsonl.gz.done``; one named ``_SUCCESS`` marks a folder."""


class Hook(Section):
    """What is called, with a JSON body, when something has happened."""

    webhook: str | None = None
    """URL to post to; ``env:NAME`` reads it from the environment, so that no secret stands here."""
    command: str | list[str] | None = None
    """Command line that gets the same JSON on its standard input; no shell is between."""
    timeout: int = Field(default=10, ge=1, le=600)
    """Seconds to wait for either."""
    format: Literal["plain", "slack", "openlineage"] = "plain"
    """What the body is: our own, a message for Slack, or a run event of OpenLineage."""

    @field_validator("webhook")
    @classmethod
    def _is_http(cls, webhook: str | None) -> str | None:
        # The message repeats no URL: it may be a secret.
        if webhook is not None and not webhook.startswith(("env:", "http://", "https://")):
            raise ValueError("a webhook begins with http://, https:// or env:")
        return webhook

    @field_validator("command")
    @classmethod
    def _has_words(cls, command: str | list[str] | None) -> str | list[str] | None:
        if command is not None and not (command.strip() if isinstance(command, str) else command):
            raise ValueError("a command needs at least one word")
        return command


class Hooks(Section):
    """Who is told."""

    failure: Hook | None = None
    """Something failed, or a blocking check did not hold."""
    new_version: Hook | None = None
    """A mixture has a new current version."""


class S3(Section):
    """How ``s3://`` is reached; credentials come from the environment, a profile or a role."""

    endpoint: str | None = None
    """URL of a server that is not Amazon's."""
    region: str | None = None
    """Region; the environment's when absent."""
    profile: str | None = None
    """Named profile of the shared credentials file."""
    addressing: Literal["auto", "path", "virtual"] = "auto"
    """Whether the bucket stands in the path or in the host name."""
    max_attempts: int = Field(default=6, ge=1, le=100)
    """Tries of one request that fails for a reason that can pass."""

    @field_validator("endpoint")
    @classmethod
    def _has_no_secret(cls, endpoint: str | None) -> str | None:
        if endpoint is not None and not endpoint.startswith(("http://", "https://")):
            raise ValueError("an endpoint begins with http:// or https://")
        if endpoint is not None and "@" in endpoint.split("://", 1)[1].split("/", 1)[0]:
            raise ValueError("an endpoint holds no credentials; put them in the environment")
        return endpoint


class Query(Section):
    """How much one ``samplemix query`` may take."""

    timeout: int = Field(default=60, ge=1, le=86_400)
    """Seconds after which it is stopped."""
    memory: Size = Field(default=2_000_000_000, ge=64_000_000)
    """Bytes that it may hold at once, its answer included; nothing is put on disk."""


class Compute(Section):
    """Where it runs."""

    device: str = Field(default="auto", pattern=r"auto|cpu|mps|cuda(:\d+)?")
    """``auto | cpu | cuda | cuda:1 | mps``."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of models; part of every score's recipe."""
    workers: Literal["auto"] | int = "auto"
    """Workers of one thread each; ``auto`` is one per core (one on a GPU), and on a cluster as many
    as it has room for."""
    executor: Literal["auto", "here", "processes", "ray"] = "auto"
    """Who works on shards: this process, worker processes, a Ray cluster; ``auto`` is worker
    processes, or this process where one worker is enough."""
    address: str = "auto"
    """The Ray cluster: ``ray://host:10001``, ``host:6379``, ``local`` for one that this run starts;
    ``auto`` is what the variable ``RAY_ADDRESS`` names, else ``local``."""
    num_cpus: float = Field(default=1.0, ge=0.0)
    """Cores of the cluster that a worker holds."""
    num_gpus: float = Field(default=1.0, gt=0.0)
    """GPUs that a worker holds where the device is one."""
    tokenize_with: TokenizingLibrary = "tokenizers"
    """Library that turns texts into tokens for the budget, for n-gram references and for exports;
    ``gigatoken`` is many times faster, gives the same tokens, and is compared as it goes."""

    @field_validator("address")
    @classmethod
    def _is_address(cls, address: str) -> str:
        if not re.fullmatch(r"auto|local|ray://\S+|[^:/\s]+:\d+", address):
            raise ValueError("a Ray cluster is `auto`, `local`, ray://host:10001 or host:6379")
        return address

    @field_validator("executor", mode="before")
    @classmethod
    def _is_renamed(cls, executor: object) -> object:
        return "auto" if executor == "local" else executor  # its name before there was a cluster
