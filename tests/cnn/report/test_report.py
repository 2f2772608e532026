"""What a report says, and that it is one page, escaped, for every kind of study."""

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from optuna_de._text import duration
from optuna_de.cnn.report.content import read_content
from optuna_de.cnn.report.report import render_report, write_report
from optuna_de.cnn.report.tables import COMPUTE, setup_rows
from optuna_de.cnn.study.setup import SETUP_KEY
from optuna_de.visualization.plots import plots_for
from tests.cnn.report import kit as report_kit
from tests.visualization import kit

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'|`# {{ 7*7 }}"
URL = "postgresql://me:secret@host/db"


class Skeleton(HTMLParser):
    """The elements of a page and the data in its JSON scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str | None]] = []
        self.json: dict[str, str] = {}
        self.words: list[str] = []
        self._open, self._key = "", ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attrs]
        self._open, self._key = tag, dict(attrs).get("id") or ""

    def handle_data(self, data: str) -> None:
        if self._open == "script" and self._key:
            self.json[self._key] = self.json.get(self._key, "") + data
        elif self._open not in ("script", "style"):
            self.words.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._open = ""


def hostile_study() -> optuna.Study:
    study = kit.study(study_name=HOSTILE, names=[HOSTILE, f"{HOSTILE}2"])
    study.set_user_attr(SETUP_KEY, {HOSTILE: HOSTILE, "image shape": HOSTILE, "classes": 10})
    keys = ("architecture", "macs", "epochs", "seconds", "machine", "curve")
    for value in (0.1, 0.2):
        kit.add(study, value, 100.0 - 100 * value, attrs=dict.fromkeys(keys, HOSTILE))
    return study


def sentences() -> dict[str, optuna.Study]:
    empty, failed, infeasible, one = (kit.study() for _ in range(4))
    kit.add(failed, state=TrialState.FAIL)
    kit.add(infeasible, 0.5, 10.0, constraint=1.0)
    kit.add(one, 0.5, 10.0)
    return {
        "This study has no finished trial yet.": empty,
        "None of this study's 1 finished trials has a value.": failed,
        "No trial of this study is feasible yet.": infeasible,
        "1 finished trials, 1 on the front": one,
    }


@pytest.fixture(scope="module")
def study() -> optuna.Study:
    return report_kit.networks(40)


@pytest.fixture(scope="module")
def page(study: optuna.Study) -> Skeleton:
    return Skeleton(render_report(study, storage=URL))


def test_the_page_needs_no_network(page: Skeleton) -> None:
    links = [v for _, name, v in page.attributes if name in ("src", "href", "action", "srcset")]
    assert links == ["data:,"]
    policy = next(v for _, name, v in page.attributes if name == "content" and v and "src" in v)
    assert policy.startswith("default-src 'none';")
    assert "unsafe-eval" not in policy


def test_plotly_is_there_once(study: optuna.Study) -> None:
    assert len(re.findall(r"plotly\.js v\d", render_report(study))) == 1


def test_all_plots_are_there(study: optuna.Study, page: Skeleton) -> None:
    names = {f"figure-{name}" for name in plots_for(study)}
    assert names == {key for key in page.json if key.startswith("figure-")}
    assert all(json.loads(page.json[name])["data"] for name in names)
    shown = {v for _, name, v in page.attributes if name == "data-figure"}
    assert {f"figure-{name}" for name in shown} == names


def test_every_network_of_the_front_has_drawing_curve_and_layers(
    study: optuna.Study, page: Skeleton
) -> None:
    best = {t.number for t in study.best_trials}
    templates = {v for tag, name, v in page.attributes if tag == "template" and name == "id"}
    assert templates == {f"network-{number}" for number in best}
    assert page.tags["svg"] == len(best)
    curves = json.loads(page.json["curves"])["data"]
    assert {int(number) for number in curves} == best
    trial = study.best_trials[0]
    losses, errors = curves[str(trial.number)]
    assert losses["y"] == [row[1] for row in trial.user_attrs["curve"]]
    assert errors["y"] == [row[2] for row in trial.user_attrs["curve"]]


def test_the_content_is_that_of_the_study(study: optuna.Study) -> None:
    content = read_content(study, URL)
    assert [n.number for n in content.front] == [
        t.number for t in sorted(study.best_trials, key=lambda t: t.values)
    ]
    assert ("training seed", "7") in content.setup
    assert dict(content.setup)["objectives"] == (
        "error (share of wrong answers, validation images, minimised), parameters (minimised)"
    )
    assert ("trials", "40 complete") in content.cost
    assert ("epochs trained", "200") in content.cost
    assert (COMPUTE, "2 min") in content.cost
    assert ("40 trials ran on", "2 cores of a test") in content.origin
    assert optuna.__version__ in dict(content.origin)["report written with"]
    layers = content.front[0].layers
    parameters = sum(int(row[2].replace(",", "")) for row in layers)
    assert f"{parameters:,}" == content.front[0].values[1]


def test_picks_are_spread_and_name_their_command() -> None:
    content = read_content(report_kit.networks(300), URL)
    assert content.front_size > len(content.picks) == 8
    assert (content.picks[0], content.picks[-1]) == (content.front[0], content.front[-1])
    assert content.picks[0].command == (
        "optuna-de train --storage 'postgresql://me:***@host/db' "
        f"--study-name digits-modern --trial {content.picks[0].number}"
    )


def test_a_long_front_is_cut_and_the_page_says_so() -> None:
    study = kit.study()
    for i in range(250):
        kit.add(study, float(i), 250.0 - i)
    content = read_content(study)
    assert (len(content.front), content.front_size) == (200, 250)
    words = " ".join(Skeleton(render_report(study)).words)
    assert "are 200 of the front's 250 networks" in words


@pytest.mark.parametrize("fmt", ["html", "md"])
def test_the_password_is_left_out(study: optuna.Study, fmt: str) -> None:
    text = render_report(study, fmt=fmt, storage=URL)  # type: ignore[arg-type]
    assert "secret" not in text
    assert "***" in text


def test_hostile_text_is_text(page: Skeleton) -> None:
    hostile = Skeleton(render_report(hostile_study(), storage=f"sqlite:///{HOSTILE}"))
    assert hostile.tags["script"] == page.tags["script"]
    assert hostile.tags["img"] == 0
    assert not [name for _, name, _ in hostile.attributes if name.startswith("on")]
    assert HOSTILE in " ".join(hostile.words)


def test_hostile_text_is_text_in_markdown() -> None:
    text = render_report(hostile_study(), fmt="md")
    code = [line for line in text.splitlines() if line.startswith("    ")]
    rest = "\n".join(line for line in text.splitlines() if line not in code)
    assert "<" not in rest
    assert not re.search(r"alert\(", rest)
    cells = {line.count("|") for line in rest.splitlines() if line.startswith("|")}
    assert cells <= {3, 5}


def test_hostile_networks_are_not_drawn() -> None:
    study = kit.study()
    study.set_user_attr(SETUP_KEY, report_kit.SETUP)
    long, longer, other = "C9k3-" * 1000, "C9k3-" * 10**6, ["C9k3"]
    for i, text in enumerate((long, longer, other, 5, "-".join(["MP"] * 9), HOSTILE)):
        kit.add(study, float(i), 9.0 - i, attrs={"architecture": text, "curve": [[1], 3, None]})
    problems = [network.problem for network in read_content(study).front]
    assert "5,000 characters" in problems[0]
    assert problems[1:4] == ["The architecture of this trial is unreadable."] * 3
    assert all(problem.startswith("It cannot be drawn") for problem in problems[4:])
    assert Skeleton(render_report(study)).tags["svg"] == 0


def test_unknown_image_shape_is_said() -> None:
    study = kit.study()
    kit.add(study, 0.5, 10.0, attrs={"architecture": "C9k3"})
    assert "does not record image shape" in " ".join(Skeleton(render_report(study)).words)


@pytest.mark.parametrize("fmt", ["html", "md"])
@pytest.mark.parametrize("sentence", sentences())
def test_studies_without_a_front_give_a_sentence(sentence: str, fmt: str) -> None:
    text = render_report(sentences()[sentence], fmt=fmt)  # type: ignore[arg-type]
    shown = " ".join(Skeleton(text).words) if fmt == "html" else text
    assert sentence in shown.replace("&#39;", "'")


def test_a_setup_names_each_thing_once_and_what_was_not_given_none() -> None:
    study = optuna.create_study(directions=["minimize"] * 2)
    study.set_user_attr(SETUP_KEY, {"objectives": "error, parameters", "weights": None})
    assert [row for row in setup_rows(study) if row[0] != "objectives"] == [("weights", "none")]
    assert [name for name, _ in setup_rows(study)].count("objectives") == 1


@pytest.mark.parametrize("setup", [HOSTILE, [1], 7, {"image shape": [0, 0, 0], "classes": 10}])
def test_a_setup_that_no_search_wrote_is_no_crash(setup: object) -> None:
    study = kit.study()
    study.set_user_attr(SETUP_KEY, setup)
    kit.add(study, 0.5, 10.0, attrs={"architecture": "C9k3"})
    assert read_content(study).front[0].problem


def test_one_objective_has_a_report() -> None:
    study = kit.study(["maximize"])
    for i in range(5):
        kit.add(study, float(i), attrs={"architecture": "C9k3"})
    page = Skeleton(render_report(study))
    assert "figure-hypervolume" not in page.json
    assert [n.number for n in read_content(study).front] == [4]


def test_three_objectives_have_a_report() -> None:
    study = kit.study(["maximize", "minimize", "minimize"])
    kit.add(study, 1.0, 2.0, 3.0)
    assert "figure-hypervolume" in Skeleton(render_report(study)).json


def test_a_file_is_replaced_at_once(study: optuna.Study, tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    path.write_text("old")
    assert write_report(study, path, refresh=7) == path
    assert 'data-refresh="7"' in path.read_text()[:100]
    assert [f.name for f in tmp_path.iterdir()] == ["r.html"]


def test_the_study_is_left_as_it_was(study: optuna.Study) -> None:
    before = (study.user_attrs, study.trials)
    render_report(study)
    assert (study.user_attrs, study.trials) == before


def test_a_file_without_a_folder_is_refused(study: optuna.Study, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="name a file in a folder"):
        write_report(study, tmp_path / "none" / "r.html")
    with pytest.raises(ValueError, match="'html' or 'md', not 'pdf'"):
        write_report(study, tmp_path / "r.pdf", fmt="pdf")  # type: ignore[arg-type]


def test_lone_surrogates_are_dropped(tmp_path: Path) -> None:
    study = kit.study()
    kit.add(study, 0.5, 10.0, attrs={"architecture": "\ud800C8k3"})
    for fmt in ("md", "html"):
        write_report(study, tmp_path / "r", fmt=fmt)
        assert "\ud800" not in (tmp_path / "r").read_text()


@pytest.mark.parametrize(
    ("seconds", "words"), [(8.46, "8.5 s"), (720, "12 min"), (12240, "3.4 h"), (0, "0.0 s")]
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
