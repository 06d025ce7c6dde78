"""A browser for tests, where there is one; it sees what a person sees."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.door.open_ui import Ui

WAIT_MS = 30_000
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@contextlib.contextmanager
def opened(ui: Ui) -> Iterator[Any]:
    """Yield a page of a browser that came in by the printed address."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with playwright.sync_playwright() as tool:
        own = tool.chromium.executable_path
        found = next(filter(None, map(shutil.which, _NAMES)), own if Path(own).exists() else None)
        if found is None:
            pytest.skip("needs a chromium")
        browser = tool.chromium.launch(executable_path=found, args=_QUIET)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(WAIT_MS)
        page.goto(address(ui, f"/?token={ui.token}"))
        try:
            yield page
        finally:
            browser.close()


def address(ui: Ui, path: str) -> str:
    """Return the address of a page."""
    return f"http://127.0.0.1:{ui.port}{path}"
