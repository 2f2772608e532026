"""A search from one description: what it makes, what it refuses, and that it goes on."""

import dataclasses
import sqlite3
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import FrozenTrial

from optuna_de import DESampler
from optuna_de.cnn import CNNSpace, count_parameters, get_recipe, parse, render
from optuna_de.cnn.architecture.prices import PARAMETERS, Limit
from optuna_de.cnn.architecture.region import Region
from optuna_de.cnn.recipes import fit_recipe
from optuna_de.cnn.search.search import Search
from optuna_de.cnn.study.artifacts import open_store, read
from optuna_de.cnn.study.setup import SETUP_KEY
from optuna_de.sampler.plan import PLAN_KEY, Plan
from optuna_de.screening.screening import Screening
from optuna_de.storage.open_storage import open_storage
from optuna_de.worker.optimize import optimize
from tests.cnn.data.kit import paint
from tests.cnn.kit import digits


@pytest.fixture(autouse=True)
def fixture_one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(name="url")
def fixture_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/study.db"


def make(url: str, **changes: Any) -> Search:
    small = {"epochs": 1, "subset": 150, "population": 4, "device": "cpu", "trials": 8}
    folder = Path(url.removeprefix("sqlite:///")).parent / "runs"
    folders = {"checkpoints": folder, "artifacts": folder.with_name("files")}
    return Search(**{"storage": url, **folders, **small, **changes})


def go(search: Search, total: int) -> list[FrozenTrial]:
    """Search as a new process would, until so many trials are finished."""
    objective = search.objective()
    optimize(search.study(objective), objective, total=total)
    study = optuna.load_study(study_name=search.name, storage=open_storage(search.storage))
    return study.trials


def record_of(trials: list[FrozenTrial]) -> list[Any]:
    return [(t.number, t.state, t.values, t.params, t.user_attrs["architecture"]) for t in trials]


CAP = {"max_parameters": 12_000}


def test_a_study_killed_after_any_trial_ends_as_one_never_killed(tmp_path: Path) -> None:
    whole = record_of(go(make(f"sqlite:///{tmp_path}/whole.db", **CAP), 8))
    assert len({row[-1] for row in whole}) == 8
    pieces = make(f"sqlite:///{tmp_path}/pieces.db", **CAP)
    for total in range(1, 8):
        go(dataclasses.replace(pieces), total)
    assert record_of(go(pieces, 8)) == whole


def test_trials_leave_files_and_columns(url: str) -> None:
    search = make(url, **CAP)
    trials = go(search, 6)
    for trial in trials:
        assert {"drawing.svg", "layers.csv", "curve.csv"} == set(
            read(trial, open_store(search.artifacts))
        )
        assert trial.user_attrs["feasible"] is True
        assert "cores of" in trial.user_attrs["machine"]
    generations = [t.user_attrs["generation"] for t in trials]
    assert generations[0] == 0 < generations[-1]
    study = optuna.load_study(study_name=search.name, storage=open_storage(url))
    assert study.metric_names == ["error", "parameters"]


@pytest.fixture(name="begun", scope="module")
def fixture_begun(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the URL of a study that a search has begun."""
    torch.set_num_threads(1)
    url = f"sqlite:///{tmp_path_factory.mktemp('begun')}/study.db"
    go(make(url, study_name="s"), 1)
    return url


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"split_seed": 1}, "split seed 0, not 1"),
        ({"recipe": "seed-search"}, "recipe 'fast version 2', not 'seed-search version 1'"),
        ({"epochs": 2}, "epochs 1, not 2"),
        ({"batch_size": 10}, "batch size 64, not 10"),
        ({"seed": 1}, "training seed 0, not 1"),
        ({"subset": 160}, "images"),
        ({"validation_fraction": 0.2}, "images"),
        ({"preset": "seed", "population": 20}, "space 'modern', not 'seed'"),
        ({"data": "folder"}, "data 'digits', not 'folder'"),
        ({"objectives": ("error", "macs")}, "objectives 'error, parameters', not 'error, macs'"),
        ({"objectives": ("error", "parameters", "macs")}, "not 'error, parameters, macs'"),
        ({"limit": ("macs<=20M",)}, "limits 'none', not 'macs<=20,000,000'"),
        ({"stem": "SILU"}, "stem 'none', not 'SILU'"),
    ],
)
def test_another_setup_is_refused_by_name(
    begun: str, tmp_path: Path, changes: dict[str, Any], name: str
) -> None:
    before = _dump(begun)
    if "data" in changes:
        changes = {"data": str(paint(tmp_path / "folder", n=100)), "subset": None}
    other = make(begun, study_name="s", **changes)
    with pytest.raises(ValueError, match=f" uses .*{name}"):
        other.study(other.objective())
    assert _dump(begun) == before


def test_an_evolved_head_is_another_space(url: str) -> None:
    seed = make(url, preset="seed", population=20)
    seed.study(seed.objective())
    evolved = dataclasses.replace(seed, evolve_head=True)
    with pytest.raises(ValueError, match="space 'seed', not 'seed, evolved head'"):
        evolved.study(evolved.objective())


def test_other_images_under_the_same_name_are_refused(url: str, tmp_path: Path) -> None:
    for seed in (0, 1):
        paint(tmp_path / str(seed) / "set", n=20, side=(8, 8), seed=seed)
    first, second = (
        make(url, data=str(tmp_path / str(seed) / "set"), subset=None) for seed in (0, 1)
    )
    first.study(first.objective())
    with pytest.raises(ValueError, match="data fingerprint"):
        second.study(second.objective())
    smaller = dataclasses.replace(second, image_size=6)
    with pytest.raises(ValueError, match=r"image shape \[3, 8, 8\], not \[3, 6, 6\]"):
        smaller.study(smaller.objective())


@pytest.mark.parametrize("directions", [["minimize"], ["minimize", "maximize"]])
def test_a_study_of_another_shape_is_refused(
    url: str, directions: list[Literal["minimize", "maximize"]]
) -> None:
    study = optuna.create_study(
        storage=open_storage(url), study_name="digits-modern", directions=directions
    )
    before = _dump(url)
    search = make(url)
    with pytest.raises(ValueError, match="must minimise two objectives"):
        search.study(search.objective())
    assert _dump(url) == before
    assert SETUP_KEY not in study.user_attrs


def test_a_study_of_others_is_refused(url: str) -> None:
    study = optuna.create_study(
        storage=open_storage(url), study_name="digits-modern", directions=["minimize"] * 2
    )
    study.add_trial(optuna.trial.create_trial(values=[1.0, 2.0]))
    search = make(url)
    with pytest.raises(ValueError, match="was not begun by optuna-de"):
        search.study(search.objective())


@pytest.mark.parametrize(
    "changes",
    [
        {"population": -1},
        {"population": 3},
        {"weights": (0.0, 0.0)},
        {"weights": (-1.0, 0.5)},
        {"weights": (float("nan"), 1.0)},
        {"warm_start": ("C8k3",)},
        {"warm_start": ("nonsense",)},
        {"stem": "nonsense"},
        {"stem": "MP-MP-MP"},
        {"stem": "SILU", "warm_start": ("B8k3-GAP",)},
        {"recipe": "slow"},
        {"device": "cuda:77"},
        {"subset": 3},
        {"seed": -1},
    ],
    ids=str,
)
def test_bad_input_is_refused_before_anything_is_stored(url: str, changes: dict[str, Any]) -> None:
    search = make(url, **changes)
    with pytest.raises(ValueError, match=r"\.$"):
        search.study(search.objective())
    assert not Path(url.removeprefix("sqlite:///")).exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"preset": "fastest"}, "no preset 'fastest'"),
        ({"trials": 0}, "trials must be at least 1"),
        ({"epochs": -1}, "epochs must be at least 1"),
        ({"weights": (0.5,)}, "must be 2 numbers, of error and parameters"),
        ({"preset": "seed", "population": 30}, "population is 30"),
        ({"preset": "seed", "population": 20, "weights": (0.5, 0.5)}, "weights are"),
        ({"evolve_head": True}, "evolve_head belongs to the preset seed"),
        ({"preset": "seed", "population": 20, "stem": "SILU"}, "stem belong to the preset modern"),
    ],
)
def test_what_cannot_be_heeded_is_refused(
    url: str, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        make(url, **changes)


def test_a_stem_stands_before_every_network(url: str) -> None:
    space = make(url, stem="SILU-WH2s2").space
    params = space.initial(np.random.default_rng(0))
    assert render(space.decode(params)).startswith("SILU-WH2s2-B")


def test_presets_are_what_they_say() -> None:
    seed = Search(preset="seed")
    objective = seed.objective()
    assert (seed.total, objective.epochs, objective.recipe.batch_size) == (100, 10, 64)
    assert (objective.recipe.name, objective.recipe.learning_rate) == ("seed-search", 0.01)
    assert objective.halving is None
    assert not objective.stop_dead
    modern = Search()
    assert modern.total == 40
    assert modern.objective().halving is not None
    assert Search(epochs=1).objective().halving is None
    assert Search(halving=False).objective().halving is None


def test_one_epoch_of_few_steps_condemns_nothing() -> None:
    assert not Search().objective().stop_dead  # 21 steps an epoch
    assert Search(batch_size=8).objective().stop_dead


def test_warm_start_comes_first_and_once(url: str) -> None:
    search = make(url, warm_start=("B8k3-MP-B8k3-GAP", "B8k3-MP-MP-MP-MP-B9k3-GAP"))
    trials = go(search, 3)
    texts = [t.user_attrs["architecture"] for t in trials]
    assert texts[:2] == ["B8k3-MP-B8k3-GAP", "B8k3-MP-MP-B9k3-GAP"]
    again = search.study(search.objective())
    assert not again.get_trials(states=[optuna.trial.TrialState.WAITING])


def test_a_study_keeps_its_first_networks(url: str) -> None:
    """One that was stored before they had versions goes on with the first."""
    search = make(url)
    study = search.study(search.objective())
    assert study.user_attrs[SETUP_KEY]["first networks"] == "version 2"
    assert make(url).space.version == search.space.version == 2
    setup = {k: v for k, v in study.user_attrs[SETUP_KEY].items() if k != "first networks"}
    study.set_user_attr(SETUP_KEY, setup)
    older = make(url)
    older.study(older.objective())
    assert older.space.version == 1
    with pytest.raises(ValueError, match=r"uses first networks 'version 1', not 'version 2'\."):
        search.study(search.objective())


def test_three_objectives_under_limits(url: str) -> None:
    search = make(
        url, objectives=("error", "parameters", "macs"), limit=("macs<=1M",), max_parameters=20_000
    )
    trials = go(search, 8)
    assert all(t.values[1] <= 20_000 and t.values[2] <= 1e6 for t in trials)
    assert all(t.state.name in ("COMPLETE", "PRUNED") for t in trials)
    study = optuna.load_study(study_name=search.name, storage=open_storage(url))
    assert study.metric_names == ["error", "parameters", "macs"]
    assert study.user_attrs[SETUP_KEY]["limits"] == "macs<=1,000,000"


def test_the_metric_is_the_first_objective_and_goes_into_the_setup(url: str) -> None:
    search = make(url, metric="balanced-error", weigh_classes=True, **CAP)
    trials = [t for t in go(search, 2) if t.values]
    assert search.objectives == ("balanced-error", "parameters")
    study = optuna.load_study(study_name=search.name, storage=open_storage(url))
    assert study.metric_names == ["balanced-error", "parameters"]
    assert study.user_attrs[SETUP_KEY]["class weights"] == "balanced"
    assert all(t.values[0] == min(t.user_attrs["curve"][-1][2], 0.9) for t in trials)
    for other in ({"metric": "error", "weigh_classes": True}, {"metric": "balanced-error"}):
        again = make(url, **other, **CAP)
        with pytest.raises(ValueError, match=r"uses (objectives|class weights) 'balanced"):
            again.study(again.objective())


def test_another_metric_than_the_first_objective_is_refused() -> None:
    with pytest.raises(ValueError, match=r"but must be macro-f1-error \(by --metric\) and one"):
        Search(metric="macro-f1-error", objectives=("balanced-error", "macs"))
    with pytest.raises(ValueError, match="metric is 'auc', but must be one of error, "):
        Search(metric="auc")


def test_names_come_from_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(paint(tmp_path / "Pets"))
    assert Search(data=".").name == "pets-modern"
    assert Search(preset="seed").name == "digits-seed"
    assert Search(study_name="mine").name == "mine"


def test_augmentation_fits_the_images() -> None:
    fast = get_recipe("fast")
    assert (fast.crop_padding, fast.flip) == (2, True)
    fit = fit_recipe(fast, digits(50, 50))
    assert (fit.crop_padding, fit.flip) == (1, False)
    assert get_recipe("final").cutout == 8
    assert fit_recipe(get_recipe("final"), digits(50, 50)).cutout == 2
    for name, flip in (("pets", True), ("FashionMNIST", True), ("MNIST", False), ("svhn", False)):
        assert fit_recipe(fast, dataclasses.replace(digits(50, 50), name=name)).flip == flip


def _dump(url: str) -> list[str]:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def test_screening_leaves_out_what_has_no_price_yet(url: str) -> None:
    space = CNNSpace((1, 8, 8), 10)
    sampler = DESampler(
        space=space,
        initial=lambda rng: space.encode(parse(f"B{4 + int(rng.integers(60))}k3-MP-GAP")),
        screening=Screening(pool=10),
        mutation=3.0,
        seed=0,
    )
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler, study_name="s")

    def price(trial: optuna.Trial) -> tuple[float, float]:
        size = count_parameters(space.suggest(trial), space.image_shape, space.classes)
        return 1 / size, float(size)

    study.optimize(price, n_trials=25)
    plans = [Plan.load(t.system_attrs[PLAN_KEY]) for t in study.trials]
    assert any(plan.screened is True for plan in plans)


RECORDED = {  # parameters: validation error, the front of benchmarks/cifar10/results/cifar10.jsonl
    **{205: 0.797, 400: 0.747, 770: 0.685, 1_628: 0.665, 1_988: 0.627, 9_233: 0.580},
    **{24_794: 0.507, 151_566: 0.470, 627_298: 0.455},
}


def children(*, region: bool) -> list[tuple[float, ...]]:
    """Return the values of 28 children after 11 first networks, by recorded errors."""
    low = 1_000 if region else None
    space = CNNSpace(min_parameters=low, limits=(Limit(PARAMETERS, 50_000),))
    reference = (0.45, 50_000.0) if region else None
    sampler = DESampler(space=space, reference=reference, seed=3)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler, study_name="s")

    def price(trial: optuna.Trial) -> tuple[float, float]:
        genome = space.suggest(trial)
        size = count_parameters(genome, space.image_shape, space.classes)
        luck = 0.1 * (crc32(render(genome).encode()) % 1000) / 1000
        known = np.interp(np.log(size), np.log([*RECORDED]), [*RECORDED.values()])
        return float(known) + luck, float(size)

    study.optimize(price, n_trials=39)
    return [tuple(t.values) for t in study.trials[11:]]


def test_children_fall_where_the_user_looks() -> None:
    """A newcomer's search under a cap of 50,000: 27 of 28 children had 2,584 or fewer."""
    astray, inside = children(region=False), children(region=True)
    assert sum(size <= 2_584 for _, size in astray) > 14
    assert sum(size > 2_584 and error <= 0.7 for error, size in inside) >= 14
    assert all(1_000 <= size <= 50_000 for _, size in inside)


def test_a_region_is_recorded_and_another_one_refused(url: str) -> None:
    go(make(url, between=(500, 9_000), max_error=0.4), 2)
    assert make(url).region == Region(500, 9_000, 0.4)  # the study's, without being told
    for changes in ({"between": (500, 8_000)}, {"max_error": 0.3}, {"max_parameters": 600}):
        other = make(url, **changes)
        with pytest.raises(ValueError, match=r"uses region '500 to 9,000 .*', not '"):
            other.study(other.objective())
    weighted = make(url, weights=(0.5, 0.5))
    with pytest.raises(ValueError, match="weights None, not"):
        weighted.study(weighted.objective())


def test_regions_are_told_apart_from_caps() -> None:
    assert Search(max_parameters=5_000).region == Region(100, 5_000, Search().region.max_error)  # type: ignore[union-attr]
    assert Search(preset="seed", population=20).region is None
    with pytest.raises(ValueError, match="preset modern"):
        Search(preset="seed", between=(1, 2))
    with pytest.raises(ValueError, match="max_error must be"):
        Search(max_error=0.0)
