"""A real browser, for every test that needs one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def browser_path() -> str | None:
    return os.environ.get("FACEWRIGHT_BROWSER") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )


@contextmanager
def chromium() -> Iterator[Any]:
    """Chromium as playwright drives it. The test is skipped where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    path = browser_path()
    if path is None:
        pytest.skip("no Chromium on this machine: install it, or name one with FACEWRIGHT_BROWSER")
    with api.sync_playwright() as play:
        running = play.chromium.launch(executable_path=path, args=list(FLAGS))
        yield running
        running.close()
