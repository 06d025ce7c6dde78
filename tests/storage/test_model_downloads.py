"""Downloads from the hub: which failures can pass, and so are tried again, and which cannot."""

from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest

from samplemix_dagster.errors import ModelError, TransientError
from samplemix_dagster.storage.models.files import resolve_model


class HubError(Exception):
    """An answer of the hub, as its client raises it."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status}")
        self.response = SimpleNamespace(status_code=status)


class OfflineModeIsEnabled(ConnectionError):  # noqa: N818  the name of the client
    """What the client raises where the user forbids connections."""


def chained(outer: Exception, inner: Exception) -> Exception:
    """Return an error that was raised from another one."""
    outer.__cause__ = inner
    return outer


def fetch(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    resolve_model("nobody/nothing", "0" * 40, Path("/nowhere"))


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("refused"),
        TimeoutError("too slow"),
        HubError(503),
        HubError(429),
        chained(FileNotFoundError("not in the cache"), ConnectionError("refused")),
    ],
)
def test_a_hub_that_is_away_or_busy_can_pass(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TransientError, match="nobody/nothing"):
        fetch(error, monkeypatch)


@pytest.mark.parametrize(
    "error",
    [
        HubError(404),
        HubError(401),
        ValueError("bad name"),
        chained(FileNotFoundError("not in the cache"), OfflineModeIsEnabled("offline")),
    ],
)
def test_a_wrong_name_or_a_forbidden_connection_cannot(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match="Check the name"):
        fetch(error, monkeypatch)
