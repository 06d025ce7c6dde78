"""Fixtures for every test: quiet libraries, one thread, one finished small project."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples at every run: a red test is then a change's, and can be run again.
# `HYPOTHESIS_PROFILE=explore` looks for new ones.
settings.register_profile("default", derandomize=True, deadline=None)
settings.register_profile("explore", derandomize=False, deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")

REPOSITORY = Path(__file__).parents[1]
LACKING_FORMATS = set() if importlib.util.find_spec("array_record") else {"arrayrecord"}
"""Formats of exports whose package is not installed here."""


@pytest.fixture(scope="session")
def shared_corpus() -> Path:
    """The evaluation corpus, where there is one beside the repository."""
    folder = REPOSITORY.parent / "shared" / "corpus"
    if not folder.is_dir():
        pytest.skip("there is no evaluation corpus beside the repository")
    return folder


@pytest.fixture(scope="session")
def python() -> str:
    """The interpreter that runs the tests."""
    return sys.executable


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name no test after packed bytes.

    gzip writes the time of day into its head, and each worker has to collect the same names.
    """
    return argname if isinstance(val, bytes) and not val.decode("latin1").isprintable() else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the file that takes minutes: one worker would be alone with it at the end.

    Formats whose package is not installed are left out.
    """
    items.sort(key=lambda item: item.path.name != "test_kills.py")
    for item in items:
        if not _asked_of(item).isdisjoint(LACKING_FORMATS):
            item.add_marker(pytest.mark.skip(reason="the format's package is not installed"))


def _asked_of(item: pytest.Item) -> set[str]:
    """The words among a test's parameters."""
    parameters = getattr(item, "callspec", None)
    values = () if parameters is None else parameters.params.values()
    return {value for value in values if isinstance(value, str)}
