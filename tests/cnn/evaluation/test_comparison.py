"""Comparisons: alike for all, tested after the last training, resumable, losses told."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from optuna_de.cli.progress.training_progress import training_progress
from optuna_de.cnn import parse
from optuna_de.cnn.data.dataset import Split
from optuna_de.cnn.evaluation.candidates import Candidate
from optuna_de.cnn.evaluation.comparison import Comparison, rank_correlation, run_comparison
from optuna_de.cnn.evaluation.training_job import TrainingJob
from optuna_de.cnn.recipes import Recipe
from optuna_de.cnn.training import Epoch
from tests.cnn.training.kit import OTHER, SMALL, job


@pytest.fixture(autouse=True)
def fixture_one_thread() -> None:
    torch.set_num_threads(1)


class Stop(Exception):  # noqa: N818 (a signal, no error)
    pass


def training(network: Candidate, seed: int) -> TrainingJob:
    return replace(job(), genome=network.genome, seed=seed, origin=network.name)


def pair(**changes: Any) -> Comparison:
    networks = (Candidate("pick", parse(SMALL), 0.2), Candidate("other", parse(OTHER)))
    return Comparison(**{"networks": networks, "seeds": (0, 1), "training": training, **changes})


class Log:
    """What happens in a comparison, in order; may stop it after so many epochs."""

    def __init__(self, stop_after: int = 99) -> None:
        self.events: list[str] = []
        self._stop_after = stop_after

    def test(self) -> Split:
        self.events.append("test")
        return job().data.validation

    def watch(self, label: str) -> Any:
        log = self

        class Watch:
            def __enter__(self) -> Any:
                return log.epoch

            def __exit__(self, *_: object) -> None:
                pass

        return Watch()

    def epoch(self, epoch: Epoch) -> None:
        self.events.append("epoch")
        if len(self.events) == self._stop_after:
            raise Stop


def alike(result: dict[str, Any]) -> Any:
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in result["rows"]]
    return {**result, "rows": rows}


def test_the_test_split_is_opened_once_after_the_last_training(tmp_path: Path) -> None:
    log = Log()
    result = run_comparison(pair(), log.test, tmp_path / "out", log.watch)
    assert log.events == ["epoch"] * 8 + ["test"]
    again = Log()
    assert run_comparison(pair(), again.test, tmp_path / "out", again.watch) == result
    assert again.events == []


@pytest.mark.parametrize(("stop_after", "epochs_told"), [(1, 8), (4, 6), (8, 4)])
def test_one_stopped_anywhere_ends_as_one_never_stopped(
    tmp_path: Path, stop_after: int, epochs_told: int
) -> None:
    whole, stopped, resumed = Log(), Log(stop_after), Log()
    expected = run_comparison(pair(), whole.test, tmp_path / "whole", whole.watch)
    with pytest.raises(Stop):
        run_comparison(pair(), stopped.test, tmp_path / "pieces", stopped.watch)
    assert "test" not in stopped.events
    result = run_comparison(pair(), resumed.test, tmp_path / "pieces", resumed.watch)
    assert alike(result) == alike(expected)
    assert resumed.events == ["epoch"] * epochs_told + ["test"]  # the last of each is told again


def test_one_stopped_while_scoring_scores_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log()
    expected = run_comparison(pair(), log.test, tmp_path, log.watch)
    for name in ("02-seed0", "02-seed1"):  # as if the kill had come after the first network
        (tmp_path / "runs" / name / "result.json").unlink()
    resumed = Log()
    assert alike(run_comparison(pair(), resumed.test, tmp_path, resumed.watch)) == alike(expected)


def test_rows_hold_mean_and_spread(tmp_path: Path) -> None:
    log = Log()
    result = run_comparison(pair(), log.test, tmp_path, log.watch)
    pick, other = result["rows"]
    first, second = pick["test accuracies"]
    assert first != second
    assert pick["mean"] == pytest.approx((first + second) / 2)
    assert pick["standard deviation"] == pytest.approx(abs(first - second) / 2**0.5)
    assert (pick["search error"], other["search error"]) == (0.2, None)
    page = (tmp_path / "compare.md").read_text()
    assert f"{pick['mean']:.2%} ± {100 * pick['standard deviation']:.2f}" in page
    assert f"| pick | {pick['parameters']:,} | {pick['macs']:,} | 20.00% |" in page
    assert "needs 3 picks of a study that differ; there are 1." in page


def test_the_page_holds_the_metric_the_objectives_and_the_confusion(tmp_path: Path) -> None:
    data = replace(job().data, metric="balanced-error")
    pick = Candidate("pick", parse(SMALL), 0.2, {"balanced-error": 0.2, "latency [ms]": 1.25})
    networks = (pick, Candidate("other", parse(OTHER)))

    def balanced(network: Candidate, seed: int) -> TrainingJob:
        return replace(training(network, seed), data=data, objectives=network.objectives)

    log = Log()
    result = run_comparison(
        pair(networks=networks, training=balanced), log.test, tmp_path, log.watch
    )
    first = result["rows"][0]
    assert sum(map(sum, first["confusion"])) == 2 * len(data.validation.labels)
    assert first["test errors"] != [1 - a for a in first["test accuracies"]]
    page = (tmp_path / "compare.md").read_text()
    assert (
        "latency &#91;ms&#93; | search balanced-error | test accuracy | test balanced-error"
        in page
    )
    assert "| 1.25 | 20.00% |" in page
    assert "drawn: [pick](confusion-01.svg), [other](confusion-02.svg)" in page
    assert f"| is 0 | {' | '.join(map(str, first['confusion'][0]))} |" in page
    assert (tmp_path / "confusion-02.svg").read_text().startswith("<svg")


def test_a_training_that_fails_is_told_and_stops_no_other(tmp_path: Path) -> None:
    def wild(network: Candidate, seed: int) -> TrainingJob:
        recipe = Recipe("wild", 1, learning_rate=1e30)
        base = training(network, seed)
        return replace(base, recipe=recipe) if network.name == "pick" and seed else base

    log = Log()
    for _ in range(2):
        result = run_comparison(pair(training=wild), log.test, tmp_path, log.watch)
        pick, other = result["rows"]
        assert (len(pick["test accuracies"]), len(other["test accuracies"])) == (1, 2)
    page = (tmp_path / "compare.md").read_text()
    assert "pick: 1 of 2 trainings failed: Training diverged in epoch 1" in page


def test_rank_correlation_is_spearmans() -> None:
    def rows(*pairs: tuple[float | None, float | None]) -> list[dict[str, Any]]:
        return [{"search error": a, "test errors": [] if b is None else [b]} for a, b in pairs]

    same = rank_correlation(rows((0.1, 0.01), (0.2, 0.02), (0.9, 0.03), (None, 0.5)))
    assert same == {"spearman": pytest.approx(1.0), "picks": 3}
    # ranks 1 2 3 4 against 2 1 4 3: 1 - 6 * 4 / (4 * 15) = 0.6
    part = rank_correlation(rows((0.1, 0.2), (0.2, 0.1), (0.3, 0.4), (0.4, 0.3)))
    assert part["spearman"] == pytest.approx(0.6)
    for few in (rows((0.1, 0.1), (0.2, 0.2), (0.3, None)), rows(*[(0.1, 0.1)] * 3)):
        assert rank_correlation(few)["spearman"] is None


def test_another_comparison_in_the_folder_is_refused(tmp_path: Path) -> None:
    log = Log()
    run_comparison(pair(seeds=(0,)), log.test, tmp_path, log.watch)
    with pytest.raises(ValueError, match=r"holds a comparison with seeds \[0\], not \[0, 1\]"):
        run_comparison(pair(), log.test, tmp_path, log.watch)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"networks": ()}, "needs networks that differ, but there is none"),
        ({"networks": (Candidate("a", parse(SMALL)),) * 2}, f"{SMALL} is there twice"),
        ({"seeds": (1, 1)}, "needs seeds that differ, but 1 is there twice"),
    ],
)
def test_what_cannot_be_compared_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        pair(**changes)


def test_epochs_are_told_line_by_line_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with training_progress(3, "vgg16:", held_out=True) as look:
        look(Epoch(1, 1.5, 0.5, 1.25, 0.25, 2.0))
        look(Epoch(2, 1.0, 0.4, 1.0, 0.2, 4.0))
    assert capsys.readouterr().err.splitlines() == [
        "vgg16: epoch 1 of 3: loss 1.5000, accuracy in training 50.00%, validation 75.00%, 2.0 s, "
        "about 4 s left",
        "vgg16: epoch 2 of 3: loss 1.0000, accuracy in training 60.00%, validation 80.00%, 4.0 s, "
        "about 3 s left",
    ]
