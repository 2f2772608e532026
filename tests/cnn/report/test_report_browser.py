"""The report in a browser: pointing, clicking, keys, widths, hostile text, many trials."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from optuna_de.cnn.report.report import write_report
from tests.browser import DESKTOP, PHONE, chromium, opened
from tests.cnn.report import kit as report_kit
from tests.cnn.report.test_report import hostile_study, sentences

PLACE = """number => {
  const plot = document.getElementById("front-plot");
  for (const [curve, trace] of plot._fullData.entries()) {
    const i = trace.customdata ? Array.from(trace.customdata).indexOf(number) : -1;
    if (i < 0) continue;
    const box = plot.getBoundingClientRect(), { xaxis, yaxis } = plot._fullLayout;
    return [box.x + xaxis._offset + xaxis.d2p(trace.x[i]),
            box.y + yaxis._offset + yaxis.d2p(trace.y[i])];
  }
}"""
"""Where a trial's mark is on the screen, in pixels; plotly's own arithmetic."""


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def study() -> optuna.Study:
    return report_kit.networks(40)


@pytest.fixture(scope="module")
def url(study: optuna.Study, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_report(study, tmp_path_factory.mktemp("report") / "r.html").as_uri()


def best(study: optuna.Study) -> list[int]:
    return [t.number for t in sorted(study.best_trials, key=lambda t: t.values)]


def shown(page: Any) -> str:
    return str(page.locator("#network article").get_attribute("aria-label"))


def overflow(page: Any) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


def scroll_through(page: Any) -> None:
    """Look at every plot, so that it is drawn."""
    for place in page.locator(".plot").all():
        place.evaluate("element => element.scrollIntoView()")
        place.locator(".main-svg").first.wait_for()


def test_a_clicked_point_shows_its_network(context: Any, study: optuna.Study, url: str) -> None:
    first, *_, chosen = best(study)  # the ends of the front: no mark lies upon them
    with opened(context, url) as page:
        page.locator("#front-plot .main-svg").first.wait_for()
        assert shown(page) == f"Trial {first}"
        place = page.evaluate(PLACE, chosen)
        page.mouse.move(*place)
        page.locator("#front-plot .hovertext").first.wait_for()  # plotly clicks what it hovers
        page.mouse.click(*place)
        page.get_by_role("article", name=f"Trial {chosen}", exact=True).wait_for()
        text = study.trials[chosen].user_attrs["architecture"]
        assert page.locator("#network svg[role=img]").get_attribute("aria-label") == text
        assert page.locator("#network .layers tbody tr").count() > 3
        assert page.locator("#network .curve .scatterlayer .trace").count() == 2
        assert page.locator("button[aria-pressed=true]").inner_text() == str(chosen)
        assert page.url.endswith(f"#trial-{chosen}")
        page.reload()
        page.locator("#network article").wait_for()
        assert shown(page) == f"Trial {chosen}"


def test_pointing_shows_and_leaving_returns(context: Any, study: optuna.Study, url: str) -> None:
    pinned, chosen = best(study)[1], best(study)[3]
    other = next(t.number for t in study.trials if t.number not in best(study))
    with opened(context, url) as page:
        page.locator("#front-plot .main-svg").first.wait_for()
        page.locator(f"button[data-trial='{pinned}']").click()
        page.mouse.move(*page.evaluate(PLACE, chosen))
        page.get_by_role("article", name=f"Trial {chosen}", exact=True).wait_for()
        page.mouse.move(5, 5)
        page.get_by_role("article", name=f"Trial {pinned}", exact=True).wait_for()
        page.mouse.click(*page.evaluate(PLACE, other))
        page.get_by_text(f"Trial {other} is not among the networks").wait_for()


def test_keys_reach_every_network(context: Any, study: optuna.Study, url: str) -> None:
    numbers = best(study)
    with opened(context, url) as page:
        page.locator("#network article").wait_for()
        page.locator("#front-plot .modebar-btn").first.wait_for(state="attached")
        for _ in range(6):  # past the plot's four tools and the table's frame
            page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.dataset.trial") == str(numbers[0])
        for number in numbers[1:]:
            page.keyboard.press("ArrowDown")
            assert shown(page) == f"Trial {number}"
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Enter")
        assert page.locator("[aria-pressed=true]").inner_text() == str(numbers[-2])


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_all_plots_fit_the_screen(context: Any, url: str, size: tuple[int, int]) -> None:
    with opened(context, url, size) as page:
        scroll_through(page)
        assert page.locator(".plot").count() == 8
        assert overflow(page) == 0
        titles = {b.get_attribute("data-title") for b in page.locator(".modebar-btn").all()}
        assert titles == {"Download plot as a PNG", "Zoom", "Pan", "Reset axes"}, "none uploads"
        assert (colours(page, "light"), colours(page, "dark")) == (
            ["rgb(255, 255, 255)", "rgb(26, 26, 26)"],
            ["rgb(12, 12, 12)", "rgb(232, 232, 232)"],
        )


def colours(page: Any, scheme: str) -> Any:
    page.emulate_media(color_scheme=scheme)
    names = "['background-color', 'color']"
    return page.evaluate(f"{names}.map(n => getComputedStyle(document.body)[n])")


def test_hostile_text_does_nothing(context: Any, tmp_path: Path) -> None:
    path = write_report(hostile_study(), tmp_path / "r.html")
    with opened(context, path.as_uri(), PHONE) as page:
        page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        scroll_through(page)
        assert page.locator("img").count() == 0
        assert page.locator("#network article").count() == 1
        assert "<script>alert(1)</script>" in page.title()
        assert overflow(page) == 0


@pytest.mark.parametrize("sentence", sentences())
def test_studies_without_a_front_open(context: Any, sentence: str, tmp_path: Path) -> None:
    path = write_report(sentences()[sentence], tmp_path / "r.html")
    with opened(context, path.as_uri()) as page:
        assert sentence in page.locator("body").inner_text()


def test_many_trials_open(context: Any, tmp_path: Path) -> None:
    path = write_report(report_kit.networks(2000), tmp_path / "r.html")
    with opened(context, path.as_uri()) as page:
        page.locator("#front-plot .main-svg").first.wait_for()
        marks = page.locator("#front-plot .scatterlayer .points path")
        assert marks.count() == 2000
        assert page.locator("#network svg[role=img]").count() == 1


def test_a_watched_report_reloads_itself(
    context: Any, study: optuna.Study, tmp_path: Path
) -> None:
    path = write_report(study, tmp_path / "r.html", refresh=1)
    with opened(context, path.as_uri()) as page:
        page.locator("#network article").wait_for()
        write_report(report_kit.networks(3, study_name="anew"), path)
        page.get_by_role("heading", name="anew").wait_for()
