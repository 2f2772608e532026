"""The benchmarks of training run at tiny sizes, and their tables say what the rows say."""

from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import TrialState
from PIL import Image

from benchmarks.cifar10 import equal_cost, equal_cost_tables
from benchmarks.common import results, vanilla
from benchmarks.common.caps import Caps
from benchmarks.common.results import Row
from benchmarks.screening import real_training
from benchmarks.screening import run as screening_run
from benchmarks.training import (
    accuracy,
    accuracy_table,
    gpu,
    precision,
    throughput_tables,
    training_rates,
    tune_recipe,
)
from benchmarks.training.throughput import Lanes, macs
from benchmarks.training.tune_fast import Sizes, load
from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.cnn.architecture.zoo import MODEL_2
from optuna_de.cnn.data import augmentation as augment
from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.recipes import get_recipe
from optuna_de.cnn.search.search import Search

COMPLETE = TrialState.COMPLETE
CLASSES = [f"class-{i}" for i in range(10)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten classes of eight images of noise, and two to test on."""
    root: Path = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(0)
    for part, name in product(("train", "test"), CLASSES):
        (root / part / name).mkdir(parents=True)
        for i in range(8 if part == "train" else 2):
            pixels = generator.integers(256, size=(32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / part / name / f"{i}.png")
    return root


@pytest.fixture
def lanes(folder: Path) -> Lanes:
    """Lanes that are one thread of this process."""
    thread = ThreadPoolExecutor(1)

    def lane(data: ImageData, keep: bool) -> Executor:
        thread.submit(training_rates.enter, data, False).result()
        return thread

    return Lanes(load(Sizes(folder, train=40, validation=10)), lane)


def test_the_script_for_a_card_runs_on_the_cpu(
    lanes: Lanes, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_rates, "_PEAK_SIDE", 64)
    described = Search(
        data=str(folder),
        preset="seed",
        trials=1,
        epochs=1,
        device="cpu",
        validation_fraction=0.25,
        max_parameters=200_000,
    )
    threads = torch.get_num_threads()
    with lanes:
        rows = list(gpu.rows(lanes, "cpu", 1, ["narrow"], 32))
    torch.set_num_threads(threads)
    rows.append(gpu.search(described, 1))
    assert rows[0] == {"what": "macs", "network": "narrow", "macs": 12_896_768}
    assert len(rows) == 1 + 2 * 2 * 2 + 2 + 1
    assert all(row["rate"] > 0 for row in rows[1:-3])
    assert all(row["padded"] > 0 and row["plain"] > 0 for row in rows[-3:-1])
    text = throughput_tables.card_tables({"card": "No card."}, rows)
    assert "The seed's search, 1 networks and 1 workers: " in text
    assert "| batch | padded images/s | plain images/s | ratio |" in text


def test_one_sentence_says_that_there_is_no_card(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["gpu", "--folder", "nowhere"])
    gpu.main()
    assert capsys.readouterr().out == "There is no CUDA card here, so nothing was measured.\n"


def test_package_seconds_are_those_outside_training(
    lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lanes:
        assert training_rates.package_seconds(2, 64, first=1) > 0


def test_both_data_paths_give_the_same_images(folder: Path) -> None:
    data = load(Sizes(folder, train=40, validation=10))
    ((images, labels),) = vanilla.loader(data, 10, train=False)
    normalise = augment.normaliser(data.mean, data.std, (32, 32), torch.device("cpu"))
    torch.testing.assert_close(normalise(data.validation.images), images)
    assert torch.equal(data.validation.labels, labels)


def test_skipped_images_are_not_loaded(folder: Path) -> None:
    sizes = Sizes(folder, train=20, validation=20)
    first, second = load(sizes), load(sizes, 4)
    seen = [
        {image.numpy().tobytes() for s in (d.train, d.validation) for image in s.images}
        for d in (first, second)
    ]
    assert [len(images) for images in seen] == [40, 40]
    assert not seen[0] & seen[1]


def test_every_arm_of_the_accuracy_benchmark_trains(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accuracy, "TUNED", 2)
    sizes = Sizes(folder, train=40, validation=10, epochs=1, seeds=1)
    threads = torch.get_num_threads()
    small = "B4k3-MP-MP-GAP"
    for arm in ("fast", "adam", "sgd"):
        case = accuracy.Case(small, arm, 1, 0, sizes)
        error = accuracy.error(case)
        assert 0 <= error <= 1
        assert error == accuracy.error(case)
    torch.set_num_threads(threads)


def test_the_accuracy_table_pairs_the_seeds() -> None:
    def rows(network: str, arm: str, *errors: float) -> list[Row]:
        about = {"network": network, "arm": arm, "epochs": 5}
        return [{**about, "seed": i, "error": e} for i, e in enumerate(errors)]

    three = [
        *rows(MODEL_2, "seed-search", 0.9, 0.9),
        *rows(MODEL_2, "fast", 0.8, 0.7),
        *rows(accuracy_table.MODEL_2_NORMED, "fast", 0.6, 0.7),
    ]
    text = accuracy_table.table({"train": 40, "validation": 10}, three)
    assert "| seed-search | 2 | 90.0 [90.0, 90.0] | 15.0 [12.5, 17.5] |" in text
    assert "gains 25.0 points with `fast` over `seed-search`" in text


def test_the_precision_benchmark_pairs_the_seeds_and_measures_both_sides() -> None:
    text = precision.TRAINED[0]
    errors = [("auto", 0, 0.31), ("float32", 0, 0.30), ("auto", 1, 0.33), ("float32", 1, 0.35)]
    rows = [{"network": text, "precision": p, "seed": s, "error": e} for p, s, e in errors]
    table = precision.tables([{"side": 8, "network": "a", "ratio": 1.5}, *rows])
    assert "| 8 | 1.50 [1.50, 1.50] | 1.50 | 1.50 | 1 |" in table
    assert "| 0.3200 [0.3150, 0.3250] | 0.3250 [0.3125, 0.3375] | -0.0050 [" in table
    genome = next(precision.networks((1, 8, 8), 1))
    assert 0.01 < precision.ratio(genome, (1, 8, 8), 1) < 100


def throughput_rows() -> list[Row]:
    """Rows of two repeats in which every figure of the table is a round number."""

    def row(what: str, side: str, rate: float, loaders: int = 0) -> Row:
        about = {"network": "narrow", "batch": 64, "side": side, "loaders": loaders}
        peak = 6 * 12_896_768 * 400.0 if side == "ours" and what in ("one", "two") else None
        rates = {"rate": rate, "cpu_rate": rate + 10}
        return {"what": what, **about, **rates, "peak": peak}

    rows = list(macs(["narrow"]))
    for scale in (1.0, 1.0):
        rows += [
            row("default allocator", "ours", 160 * scale),
            row("one", "ours", 200 * scale),
            row("one", "vanilla", 50 * scale),
            row("one", "vanilla", 80 * scale, 2),
            row("alone", "ours", 150 * scale),
            row("two", "ours", 270 * scale),
            row("two", "vanilla", 90 * scale),
            {"what": "loader", "ours": 3000.0, "vanilla": 200.0},
        ]
    return [*rows, {"what": "package", "seconds": 0.9, "images": 45_000}]


@pytest.mark.parametrize(
    "line",
    [
        "| ratio to vanilla, one process, geometric mean | 2.50 | 1.7 |",
        "| ratio to vanilla, two workers, geometric mean | 3.00 | 2.0 |",
        "| the same per CPU second | 2.80 | - |",
        "ratio to the DataLoader | 15.0 [15.0, 15.0] | 10 |",
        "| two workers over twice one alone | 0.90 [0.90, 0.90] | 0.90 |",
        "| allocator's settings over its defaults | 1.25 [1.25, 1.25] | - |",
        "(0.900 s), share of a narrow epoch | 0.40 % | at most 1 % |",
        "| narrow | 64 | 200 [200, 200] | 80 [80, 80] | 2.50 [2.50, 2.50] | 0.50 [0.50, 0.50] |",
    ],
)
def test_the_throughput_table_says_what_was_measured(line: str) -> None:
    assert line in throughput_tables.tables({}, throughput_rows())


def test_searches_at_equal_cost_begin_alike_and_keep_to_the_caps(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caps = Caps(20_000, 1_000_000)
    for name, value in (("EPOCHS", 1), ("IMAGES", 60), ("STARTUP", 4), ("CAPS", caps)):
        monkeypatch.setattr(equal_cost, name, value)
    for name, value in (("FINAL_EPOCHS", 1), ("FINAL_IMAGES", 80)):
        monkeypatch.setattr(equal_cost, name, value)
    jobs = [equal_cost.Job(arm, 0, 6, folder, tmp_path) for arm in ("ours", "random")]
    rows = [equal_cost.search(job) for job in jobs]
    begun, trained = [], []
    for job in jobs:
        done = equal_cost.done(job.study().trials)
        begun.append([t.user_attrs["architecture"] for t in done[:4]])
        trained.append(len(done))
        assert all(t.values[1] <= 20_000 and t.user_attrs["macs"] <= 1_000_000 for t in done)
    assert begun[0] == begun[1]
    assert trained == [6, 6]
    pick = rows[0]["picks"]["300000"]
    last = equal_cost.final(jobs[0], 300_000, pick)
    assert last["test error"] in [i / 20 for i in range(21)]
    table = equal_cost_tables.tables(
        {"budget": 6}, [last, {**last, "seed": 1, "error": 0.5, "test error": 0.5}]
    )
    assert "at most 300,000 parameters" in table


def test_a_pick_is_the_least_error_under_a_size(tmp_path: Path) -> None:
    study = optuna.create_study(directions=["minimize"] * 2)
    for error, size in ((0.5, 100), (0.4, 5_000), (0.3, 20_000)):
        trial = study.ask()
        trial.set_user_attr("architecture", f"{size}")
        study.tell(trial, (error, size))
    picks = [equal_cost.pick(study.trials, size) for size in (50, 10_000, 50_000)]
    assert [pick and pick["architecture"] for pick in picks] == [None, "5000", "20000"]
    assert equal_cost.volume([(0.3, 10_000)]) > equal_cost.volume([(0.4, 10_000)])


def test_arms_that_screen_and_do_not_begin_alike_and_stay_within_the_caps(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screening_run, "STARTUP", 4)
    task = screening_run.Task(1, Caps(20_000, 1_000_000), 0.2, 100, 0.25, 60)
    jobs = [screening_run.Job(task, arm, 0, 6, folder, tmp_path) for arm in real_training.ARMS[:2]]
    rows = [screening_run.run(job) for job in jobs]
    assert rows[0]["volume"][:4] == rows[1]["volume"][:4]
    for row, job in zip(rows, jobs, strict=True):
        assert row["costs"] == [1.0] * 6
        assert row["volume"] == sorted(row["volume"])
        done = job.study().get_trials(states=[COMPLETE])
        assert max(t.values[1] for t in done) <= 20_000
    assert screening_run.run(jobs[0]) == rows[0]  # the budget is spent: nothing is trained again


def test_every_arm_has_its_sampler(tmp_path: Path) -> None:
    def made(arm: str) -> optuna.samplers.BaseSampler:
        job = screening_run.Job(screening_run.DIGITS, arm, 0, 6, None, tmp_path)
        return screening_run.sampler(job, CNNSpace((1, 8, 8), 10))

    peers = {"nsga2": "NSGAIISampler", "tpe": "TPESampler", "random": "RandomSampler"}
    assert {arm: type(made(arm)).__name__ for arm in peers} == peers
    settings = {arm: made(arm)._settings for arm in ("de", *real_training.HALVED)}  # type: ignore[attr-defined]
    screened = {arm: own.screening and own.screening.stopped for arm, own in settings.items()}
    assert screened == {
        "de": None,
        "de-screened-halved": True,
        "de-screened-halved-blind": False,
        "de-halved": None,
    }
    assert all(own.accept is not None and 1 in own.prices for own in settings.values())


def test_the_lead_is_that_of_equal_seeds() -> None:
    rows = [
        {"arm": arm, "seed": s, "volume": [low, low + s / 10], "costs": [40, 50]}
        for arm, low in (("ours", 0.5), ("peer", 0.4))
        for s in ((0, 1, 2) if arm == "ours" else (2, 0, 7))
    ]
    lines = real_training.table(rows, 110).splitlines()
    assert lines[0].endswith("| lead of ours at 60 | lead of ours at 110 |")
    assert lines[-1].endswith("| 0.1000 [0.1000, 0.1000] | 0.1000 [0.1000, 0.1000] |")
    assert real_training.table(rows, 30).count("lead") == 0
    assert [real_training.at(rows[1], n) for n in (40, 89, 90)] == [0.5, 0.5, 0.6]


def test_rows_of_another_budget_are_not_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(real_training, "RESULTS", tmp_path)
    assert real_training.held("screening-digits", 110) == []
    row = {"arm": "de", "seed": 0, "volume": [0.5], "costs": [1.0]}
    results.write(tmp_path / "screening-digits.jsonl", results.header(1, budget=60), [row])
    assert real_training.held("screening-digits", 60) == [row]
    with pytest.raises(SystemExit, match="another budget"):
        real_training.held("screening-digits", 110)


def test_the_first_recipe_of_a_tuning_is_todays() -> None:
    params = tune_recipe.today()
    recipe, stem = tune_recipe.suggest(optuna.trial.FixedTrial(params))
    assert (replace(recipe, name="fast"), stem) == (get_recipe("fast"), "")
    assert tune_recipe.suggest(optuna.trial.FixedTrial({**params, "whitening": True}))[1] == "WH-"
