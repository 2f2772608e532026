"""CNNObjective: counts before training, true and finite values, and trials that end alone."""

import math
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from optuna.trial import FrozenTrial, TrialState

from optuna_de import DESampler
from optuna_de.cnn import CNNSpace, count_macs, count_parameters, get_recipe, parse
from optuna_de.cnn.architecture.prices import MACS, PARAMETERS, Limit, Price
from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.modules.build import build
from optuna_de.cnn.search.objective import CNNObjective
from optuna_de.cnn.study.artifacts import open_store, read
from optuna_de.cnn.training import Epoch, evaluate
from optuna_de.cnn.training import memory as fit
from optuna_de.halving import Halving
from optuna_de.worker import GiveBack
from optuna_de.worker.optimize import optimize
from tests.cnn.kit import digits
from tests.drills import LINUX

SPACE = CNNSpace.seed((1, 8, 8))
RECIPE = replace(get_recipe("fast"), crop_padding=1, flip=False, batch_size=50)
DATA = digits(200, 100)
TINY, SMALL = "C8k3-MP", "C8k3-C12k3-MP"


@pytest.fixture(autouse=True)
def fixture_one_thread() -> None:
    torch.set_num_threads(1)


def make(**changes: Any) -> CNNObjective:
    return CNNObjective(**{"data": DATA, "space": SPACE, "recipe": RECIPE, "epochs": 1, **changes})


def limited(price: Price, most: float) -> CNNSpace:
    return replace(SPACE, limits=(Limit(price, most),))


def study_of(*texts: str) -> optuna.Study:
    study = optuna.create_study(directions=["minimize"] * 2, sampler=DESampler(seed=0))
    for text in texts:
        study.enqueue_trial(SPACE.encode(parse(text)))
    return study


def run(objective: CNNObjective, *texts: str) -> list[FrozenTrial]:
    study = study_of(*texts)
    optimize(study, objective, total=len(texts))
    return study.trials


def test_values_are_error_and_parameters_and_attributes_tell_the_rest() -> None:
    (trial,) = run(make(epochs=2), SMALL)
    genome = parse(SMALL)
    assert trial.values[1] == count_parameters(genome, (1, 8, 8), 10)
    attrs = trial.user_attrs
    assert attrs["architecture"] == SMALL
    assert attrs["macs"] == count_macs(genome, (1, 8, 8), 10)
    assert attrs["epochs"] == len(attrs["curve"]) == 2
    assert [row[0] for row in attrs["curve"]] == [1, 2]
    assert trial.values[0] == min(attrs["curve"][-1][2], 0.9)
    assert attrs["seconds"] > 0
    assert attrs["status"] == "ok"
    assert "reason" not in attrs


def test_files_are_left_of_every_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(fit, "build", broken_at("C9k3-MP", fail))
    texts = (TINY, "C9k3-MP", SMALL)
    cap = count_parameters(parse(SMALL), (1, 8, 8), 10) - 1
    whole, full, large = run(make(artifacts=tmp_path, space=limited(PARAMETERS, cap)), *texts)
    files = [read(trial, open_store(tmp_path)) for trial in (whole, full, large)]
    assert [sorted(names) for names in files] == [
        ["curve.csv", "drawing.svg", "layers.csv"],
        *[["drawing.svg", "layers.csv"]] * 2,
    ]
    assert all(
        text in names["drawing.svg"].decode() for text, names in zip(texts, files, strict=True)
    )
    assert files[0]["curve.csv"].decode().splitlines()[1].startswith("1,")
    assert [t.user_attrs["feasible"] for t in (whole, full, large)] == [True, False, False]


def test_the_score_is_that_of_the_trained_network_in_eval_mode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept: list[torch.nn.Module] = []

    def keep(*arguments: Any) -> torch.nn.Module:
        kept.append(build(*arguments))
        return kept[-1]

    monkeypatch.setattr(fit, "build", keep)
    space = CNNSpace((1, 8, 8))
    study = optuna.create_study(directions=["minimize"] * 2)
    study.enqueue_trial(space.encode(parse("B16k3-MP-B16k3-GAP")))
    study.optimize(make(space=space, epochs=3), n_trials=1)
    model = kept[-1]
    assert any(isinstance(layer, torch.nn.BatchNorm2d) for layer in model.modules())
    error, _ = evaluate(model, DATA.validation, DATA.mean, DATA.std)
    assert study.trials[0].values[0] == error < 0.9
    # the running statistics of its norms are not those of the validation batch
    model.train()
    with torch.no_grad():
        images = (DATA.validation.images / 255 - DATA.mean[0]) / DATA.std[0]
        assert not torch.equal(model(images), model.eval()(images))


def test_the_test_split_is_out_of_reach() -> None:
    splits = {f.name for f in fields(ImageData) if f.type == "Split"}
    assert splits == {"train", "validation"}
    assert not any("test" in f.name for f in fields(CNNObjective))


def test_equal_networks_get_equal_errors_and_another_seed_others() -> None:
    first, small, again = run(make(), TINY, SMALL, TINY)
    assert first.values == again.values
    assert first.user_attrs["curve"] == again.user_attrs["curve"]
    assert first.user_attrs["seed"] != small.user_attrs["seed"]
    (other,) = run(make(seed=1), TINY)
    assert other.user_attrs["curve"] != first.user_attrs["curve"]


@pytest.mark.parametrize("price", [PARAMETERS, MACS], ids=lambda price: price.name)
def test_a_network_over_a_limit_is_never_built(
    monkeypatch: pytest.MonkeyPatch, price: Price
) -> None:
    monkeypatch.setattr(fit, "build", lambda *_: pytest.fail("it was built"))
    (trial,) = run(make(space=limited(price, 100)), SMALL)
    count = price.value(parse(SMALL), (1, 8, 8), 10)
    assert trial.state == TrialState.PRUNED
    assert trial.constraints[price.name] == sum(trial.constraints.values()) == count - 100
    assert trial.user_attrs["reason"] == f"{price.name} {count:,.0f} is over the limit of 100"


def test_a_network_over_a_known_limit_is_not_measured() -> None:
    measured = Price("latency", "ms", lambda *_: pytest.fail("it was measured"), known=False)
    limits = (Limit(measured, 5), Limit(MACS, 100))
    (trial,) = run(make(space=replace(SPACE, limits=limits)), SMALL)
    assert trial.user_attrs["reason"].startswith("macs ")


ENERGY = Price("energy", "mJ", lambda genome, shape, classes: 0.5 * len(genome), spec=".1f")


def test_any_prices_are_the_objectives_beside_the_error() -> None:
    objective = make(prices=(MACS, ENERGY))
    study = optuna.create_study(
        directions=["minimize"] * 3, sampler=DESampler(space=objective.space, seed=0)
    )
    study.enqueue_trial(SPACE.encode(parse(SMALL)))
    study.optimize(objective, n_trials=1)
    assert study.trials[0].values[1:] == [count_macs(parse(SMALL), (1, 8, 8), 10), 1.5]


WRONG: dict[str, tuple[tuple[Price, ...], list[str], str]] = {
    "another price": (
        (MACS,),
        ["error", "parameters"],
        "gives error, macs, but the study has err",
    ),
    "a number less": ((MACS, ENERGY), ["error", "macs"], "the study has error, macs and 2 direc"),
    "no number": ((replace(ENERGY, of=lambda *_: math.nan),), [], "energy of C8k3-MP is nan, but"),
    "negative": ((replace(ENERGY, of=lambda *_: -1),), [], "energy of C8k3-MP is -1.0, but must"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_wrong_price_is_one_sentence(name: str) -> None:
    prices, names, message = WRONG[name]
    study = study_of(TINY)
    if names:
        study.set_metric_names(names)
    with pytest.raises(ValueError, match=message):
        make(prices=prices)(study.ask())


def test_a_sampler_that_knows_other_prices_is_refused() -> None:
    study = optuna.create_study(directions=["minimize"] * 2, sampler=DESampler(space=SPACE))
    with pytest.raises(ValueError, match="the sampler's space has error, parameters"):
        make(prices=(MACS,))(study.ask())


WIDE_HEAD = parse("C1k1-FC150000-FC150000")[1:]
GIANT = replace(CNNSpace.seed((1, 2, 2)), head=WIDE_HEAD)


@LINUX
@pytest.mark.parametrize(
    ("cap", "state", "names"),
    [(10**6, TrialState.PRUNED, {"parameters"}), (None, TrialState.COMPLETE, {"memory"})],
)
def test_a_giant_costs_no_memory(cap: int | None, state: TrialState, names: set[str]) -> None:
    data = replace(
        DATA,
        train=replace(DATA.train, images=DATA.train.images[..., :2, :2]),
        validation=replace(DATA.validation, images=DATA.validation.images[..., :2, :2]),
    )
    study = optuna.create_study(directions=["minimize"] * 2)
    study.enqueue_trial(GIANT.encode((*parse("C8k3"), *WIDE_HEAD)))
    before = _peak()
    limits = () if cap is None else (Limit(PARAMETERS, cap),)
    study.optimize(make(data=data, space=replace(GIANT, limits=limits)), n_trials=1)
    (trial,) = study.trials
    assert _peak() - before < 2**28
    assert trial.state == state
    assert set(trial.constraints) == {"0", *names}  # "0": for the dashboard
    assert trial.user_attrs["reason"]
    assert not study.best_trials


def _peak() -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


class Broken(torch.nn.Module):
    """Fails in training mode as told."""

    def __init__(self, fail: Callable[[], None]) -> None:
        super().__init__()
        self.fail = fail
        self.layer = torch.nn.Linear(64, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if images.device.type != "meta":
            self.fail()
        answer: torch.Tensor = self.layer(images.flatten(1))
        return answer


def broken_at(text: str, fail: Callable[[], None]) -> Callable[..., torch.nn.Module]:
    """Return a builder whose network of that text fails."""

    def make_broken(genome: Any, *rest: Any) -> torch.nn.Module:
        return Broken(fail) if genome == parse(text) else build(genome, *rest)

    return make_broken


def test_out_of_memory_ends_that_trial_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(fit, "build", broken_at(SMALL, fail))
    before, full, after = run(make(), TINY, SMALL, TINY)
    assert full.state == TrialState.COMPLETE
    assert full.values == [0.9, count_parameters(parse(SMALL), (1, 8, 8), 10)]
    assert full.constraints["memory"] == sum(full.constraints.values()) == 1.0
    assert full.user_attrs["status"] == "out of memory"
    assert "memory" in full.user_attrs["reason"] or "fit" in full.user_attrs["reason"]
    assert "Trial 1" in caplog.text
    assert before.values == after.values


def test_weights_that_do_not_fit_end_that_trial_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def build_on_full_machine(*arguments: Any) -> torch.nn.Module:
        if torch.empty(0).device.type == "cpu":
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried")
        return build(*arguments)

    monkeypatch.setattr(fit, "build", build_on_full_machine)
    (trial,) = run(make(), TINY)
    assert trial.constraints["memory"] == sum(trial.constraints.values()) == 1.0
    assert trial.values[0] == 0.9


def test_a_lost_device_gives_the_trial_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access")

    monkeypatch.setattr(fit, "build", broken_at(SMALL, fail))
    study = study_of(TINY, SMALL, TINY)
    outcome = optimize(study, make(), total=3)
    assert (outcome.finished, outcome.given_back, outcome.failed) == (1, 1, 0)
    clone = study.trials[-1]
    assert [t.state.name for t in study.trials] == ["COMPLETE", "FAIL", "WAITING", "WAITING"]
    assert clone.system_attrs["fixed_params"] == SPACE.encode(parse(SMALL))
    monkeypatch.undo()
    optimize(study, make(), total=3)
    assert sum(t.state == TrialState.COMPLETE for t in study.trials) == 3
    assert study.trials[-1].user_attrs["architecture"] == SMALL


def test_divergence_is_a_finite_error() -> None:
    wild = replace(RECIPE, learning_rate=1e30, clip_norm=None, schedule="constant")
    (trial,) = run(make(recipe=wild, epochs=2), SMALL)
    assert trial.state == TrialState.COMPLETE
    assert trial.user_attrs["status"] == trial.user_attrs["reason"] == "diverged"
    assert trial.values[0] == 0.9
    assert all(row[1] is None or math.isfinite(row[1]) for row in trial.user_attrs["curve"])


def test_chance_is_the_worst_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(torch.nn.Module):
        """Answers one class that the validation split lacks."""

        def __init__(self) -> None:
            super().__init__()
            self.bias = torch.nn.Parameter(torch.zeros(10))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return (self.bias + 1e6 * torch.eye(10, device=images.device)[3]).expand(
                len(images), 10
            )

    monkeypatch.setattr(fit, "build", lambda *_: Wrong())
    kept = DATA.validation.labels != 3
    validation = replace(
        DATA.validation,
        images=DATA.validation.images[kept],
        labels=DATA.validation.labels[kept],
    )
    (trial,) = run(make(data=replace(DATA, validation=validation)), TINY)
    assert trial.values[0] == 0.9
    assert trial.user_attrs["curve"][-1][2] == 1.0


def test_a_dominated_network_is_pruned_at_a_rung() -> None:
    halving = Halving((1,), full_share=0.0)
    objective = make(epochs=2, halving=halving, batch_size=10)
    *_, last = run(objective, TINY, TINY, "C1k1-MP-MP-C100k1")
    assert last.state == TrialState.PRUNED
    assert last.user_attrs["reason"] == "dominated at a rung"
    assert last.user_attrs["epochs"] == 1


def test_a_trial_that_is_given_back_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def watch(trial: optuna.Trial, epoch: Epoch) -> None:
        seen.append((trial.number, epoch.number))
        if seen[-1] == (0, 2):
            raise GiveBack

    study = study_of(SMALL)
    interrupted = make(epochs=4, checkpoints=tmp_path, on_epoch=watch)
    assert optimize(study, interrupted, total=1).given_back == 1
    assert len(list(tmp_path.iterdir())) == 1
    optimize(study, interrupted, total=1)
    # the epoch whose end was reported before the kill is told again, none is trained again
    assert seen == [(0, 1), (0, 2), (1, 2), (1, 3), (1, 4)]
    assert not list(tmp_path.iterdir())
    (whole,) = run(make(epochs=4), SMALL)
    assert study.trials[-1].values == whole.values
    assert study.trials[-1].user_attrs["curve"] == whole.user_attrs["curve"]


def test_data_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="The space is for images of"):
        make(space=CNNSpace())


@pytest.mark.parametrize("name", ["checkpoints", "artifacts"])
def test_a_folder_that_cannot_be_made_is_refused_before_any_trial(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"file cannot be made: (File exists|Not a directory)\."):
        make(**{name: tmp_path / "file"})


@pytest.mark.parametrize("name", ["epochs", "batch_size"])
def test_numbers_below_one_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is 0, but must be 1 or more"):
        make(**{name: 0})
