"""Draw the pictures of the docs from a real search on digits: ``python examples/pictures.py``.

It searches for some minutes, then writes ``architecture.svg``, ``report.png``, ``dashboard.png``
and ``infeasible.png`` into ``docs``; all but the first need playwright and a Chromium.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any

import optuna
from playwright.sync_api import sync_playwright

from optuna_de import open_storage, optimize
from optuna_de.cli.dashboard_server import serve
from optuna_de.cnn.drawing.plots import draw_comparison_svg
from optuna_de.cnn.report.report import write_report
from optuna_de.cnn.search.search import Search

DOCS = Path(__file__).parents[1] / "docs"
SEEN = (1280, 860)
"""Size of the browser's window, in pixels."""


def search(folder: Path) -> Search:
    """Search 40 networks on digits; the warm start is over the cap, so trial 0 is infeasible."""
    described = Search(
        storage=f"sqlite:///{folder / 'digits.db'}",
        study_name="digits",
        trials=40,
        epochs=6,
        max_parameters=60_000,
        max_macs=1_500_000,
        warm_start=("B128k3-R256k3-GAP",),
        checkpoints=folder / "runs",
        artifacts=folder / "artifacts",
    )
    objective = described.objective()
    optimize(described.study(objective), objective, total=described.total)
    return described


def draw_architectures(study: optuna.Study, described: Search) -> None:
    """Draw a small network of the front and the best one in one scale."""
    front = sorted(study.best_trials, key=lambda trial: trial.values)
    chosen = (front[len(front) // 2], front[0])
    titles = {
        f"Trial {t.number}: error {t.values[0]:.1%}": t.user_attrs["architecture"] for t in chosen
    }
    space = described.space
    svg = draw_comparison_svg(titles, space.image_shape, space.classes)
    (DOCS / "architecture.svg").write_text(svg, encoding="utf-8")


@contextmanager
def browser() -> Iterator[Any]:
    """Yield a page of a headless Chromium."""
    path = which("chromium") or which("chromium-browser")
    with sync_playwright() as driver:
        started = driver.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        page = started.new_page(viewport={"width": SEEN[0], "height": SEEN[1]})
        page.set_default_timeout(120_000)
        yield page
        started.close()


def show_report(page: Any, study: optuna.Study, described: Search, folder: Path) -> None:
    """Photograph the report's front, a network of it chosen."""
    path = write_report(study, folder / "report.html", storage="sqlite:///digits.db")
    page.goto(path.as_uri())
    page.locator("#front-plot .main-svg").first.wait_for()
    page.locator("#front button").nth(1).click()
    page.locator("#network .curve .main-svg").first.wait_for()
    page.evaluate("scrollTo(0, 0)")
    height = page.locator("#picks").bounding_box()["y"] - 70
    clip = {"x": 0, "y": 0, "width": SEEN[0], "height": height}
    page.screenshot(path=DOCS / "report.png", full_page=True, clip=clip)


def show_dashboard(page: Any, url: str) -> None:
    """Photograph trials in optuna-dashboard: one with its files, one that is not feasible."""
    page.set_viewport_size({"width": 1500, "height": 1080})
    for number, name in ((1, "dashboard.png"), (0, "infeasible.png")):
        page.goto(f"{url}dashboard/studies/1/trials?numbers={number}")
        page.wait_for_function("[...document.images].some(i => i.naturalWidth > 0)")
        page.wait_for_timeout(1000)  # its transitions
        page.screenshot(path=DOCS / name)


@contextmanager
def dashboard(described: Search) -> Iterator[str]:
    """Serve optuna-dashboard; yields its address."""
    with serve(open_storage(described.storage), 0, described.artifacts) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def main() -> None:
    """Search, then draw all pictures."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        described = search(folder)
        study = optuna.load_study(
            study_name=described.name, storage=open_storage(described.storage)
        )
        draw_architectures(study, described)
        with browser() as page:
            show_report(page, study, described, folder)
            with dashboard(described) as url:
                show_dashboard(page, url)


if __name__ == "__main__":
    main()
