"""A headless Chromium for tests; skips with a reason where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
DESKTOP, PHONE = (1280, 800), (390, 844)


@contextmanager
def chromium(profile: Path) -> Iterator[Any]:
    """Start Chromium with a fresh profile; yields Playwright's context."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed.")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed.")
    with playwright.sync_playwright() as driver:
        context = driver.chromium.launch_persistent_context(
            str(profile), executable_path=CHROMIUM, args=list(ARGUMENTS), headless=True
        )
        context.set_default_timeout(120_000)  # an idle machine needs a few seconds
        yield context
        context.close()


@contextmanager
def opened(context: Any, url: str, size: tuple[int, int] = DESKTOP) -> Iterator[Any]:
    """Open a page; afterwards, whatever its console called an error is one."""
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda m: errors.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto(url)
    yield page
    page.close()
    assert errors == []
