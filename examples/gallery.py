"""Draw the pictures of the docs' gallery from that page's code: ``python examples/gallery.py``.

It runs the page's blocks in order in an empty folder and photographs each ``figure`` in Chromium.
Needs playwright.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from shutil import which
from typing import Any

import optuna
from playwright.sync_api import sync_playwright

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"```python\n(.*?)```|!\[[^]]*\]\((gallery/[^)]+)\)", re.DOTALL)
SEEN = {"width": 960, "height": 460}
"""Size of a figure without one of its own, in pixels."""


def photograph(page: Any, figure: Any, path: Path) -> None:
    """Show a figure on white, as high as it wants to be, and save the picture."""
    height = figure.layout.height or SEEN["height"]
    page.set_viewport_size({**SEEN, "height": int(height)})
    html = figure.to_html(default_height=f"{height}px", config={"displayModeBar": False})
    file = Path("figure.html").resolve()
    file.write_text(html.replace("<body>", '<body style="margin:0">'), encoding="utf-8")
    page.goto(file.as_uri())
    page.locator(".main-svg").first.wait_for()
    page.screenshot(path=path)


def main() -> None:
    """Run the page, take its pictures."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    (DOCS / "gallery").mkdir(exist_ok=True)
    names: dict[str, Any] = {}
    text = (DOCS / "gallery.md").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        os.chdir(folder)
        path = which("chromium") or which("chromium-browser")
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(120_000)
        for code, picture in BLOCK.findall(text):
            if code:
                exec(code, names)
            else:
                photograph(page, names["figure"], DOCS / picture)
        browser.close()
        os.chdir(DOCS)


if __name__ == "__main__":
    main()
