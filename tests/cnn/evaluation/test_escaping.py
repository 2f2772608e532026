"""Names in Markdown files mean nothing to Markdown or HTML: F49 of the fault list."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from optuna_de._markdown import escape, table
from optuna_de.cnn.evaluation.candidates import Candidate
from optuna_de.cnn.evaluation.comparison import Comparison, run_comparison
from optuna_de.cnn.evaluation.final_training import run_final_training, score_final_training
from optuna_de.cnn.evaluation.results import final_result, write_result, write_weights
from tests.cnn.evaluation.test_comparison import Log
from tests.cnn.training.kit import OTHER, SMALL, job

NAMES = (
    *("<script>alert(1)</script>", "<img src=x onerror=alert(2)>", "[a](javascript:b)"),
    *("a|b|c", "# heading\n# two", "`code`\n```\nfence", "**bold** _it_ ~~no~~", "1. one"),
    *("- item", "\x1b[2Jescape", "![x](http://evil/x.png)"),
)
ACTIVE = re.compile(
    r"<|\x1b|\]\(|```|javascript:|http:|\*\*|~~|^# two|^1\. |^- item", re.MULTILINE
)


@pytest.fixture(autouse=True)
def fixture_one_thread() -> None:
    torch.set_num_threads(1)


def test_f49_every_name_is_one_line_of_plain_text() -> None:
    for name in NAMES:
        assert not ACTIVE.search(escape(name)), escape(name)
        assert "\n" not in escape(name)
        assert "|" not in escape(name)


@pytest.mark.parametrize("text", ["12.50%", "C7k3-MP", "-3", "0.5 ± 0.1", "a.b", ""])
def test_f49_plain_text_stays_as_it_is(text: str) -> None:
    assert escape(text) == text


def test_f49_cells_stay_in_their_columns() -> None:
    lines = table(("name", "n"), [(name, 1) for name in NAMES], left=("name",)).splitlines()
    assert len(lines) == 2 + len(NAMES)
    assert {line.count("|") for line in lines} == {3}
    assert lines[1] == "| --- | --: |"


def test_f49_a_model_card_escapes_classes_data_and_origin(tmp_path: Path) -> None:
    plain = job(epochs=1)
    data = replace(plain.data, name=NAMES[0], classes=NAMES[: len(plain.data.classes)])
    training = replace(plain, data=data, origin=NAMES[1])
    weights = run_final_training(training, tmp_path)
    write_weights(training, weights, tmp_path)
    figures = score_final_training(training, weights, data.validation)
    write_result(final_result(training, weights, figures), tmp_path)
    card = (tmp_path / "model_card.md").read_text()
    assert "alert" in card
    assert not ACTIVE.search(card), ACTIVE.findall(card)
    assert sum(line.startswith("#") for line in card.splitlines()) == 8


def test_f49_a_comparison_escapes_names(tmp_path: Path) -> None:
    log = Log()
    networks = tuple(
        Candidate(name, job(text).genome, 0.5)
        for name, text in zip(NAMES[1:4:2], (SMALL, OTHER), strict=True)
    )
    data = replace(job().data, name=NAMES[4], classes=NAMES[: len(job().data.classes)])

    def training(network: Candidate, seed: int):  # type: ignore[no-untyped-def]
        return replace(job(epochs=1, seed=seed), genome=network.genome, data=data)

    run_comparison(Comparison(networks, (0,), training), log.test, tmp_path, log.watch)
    text = (tmp_path / "compare.md").read_text()
    page = re.sub(r"\]\(confusion-\d\d\.svg\)", "", text)
    assert not ACTIVE.search(page), ACTIVE.findall(page)
    assert "&#38;" not in page  # nothing is escaped twice
    columns = [line.count("|") for line in page.splitlines() if line.startswith("|")]
    classes = len(data.classes)
    assert columns == [10] * 4 + [4] * (2 + classes) + [classes + 2] * 2 * (2 + classes)
