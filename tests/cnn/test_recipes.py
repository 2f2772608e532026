import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from optuna_de.cnn.recipes import RECIPES, Schedule, fit_recipe, get_recipe


def rates(recipe_rate: Any, steps: int, epochs: int, batch_size: int = 64) -> list[float]:
    count = steps * epochs
    return [
        recipe_rate(i, steps=steps, epochs=epochs, batch_size=batch_size) for i in range(count)
    ]


def test_names_are_keys() -> None:
    assert list(RECIPES) == ["seed-search", "seed-final", "fast", "final"]
    assert all(get_recipe(name).name == name for name in RECIPES)


def test_seed_recipes_follow_the_rules() -> None:
    search, final = get_recipe("seed-search"), get_recipe("seed-final")
    assert (search.learning_rate, search.momentum, search.weight_decay) == (0.01, 0, 0)
    assert (search.epochs, search.batch_size, search.schedule) == (10, 64, "constant")
    assert (final.learning_rate, final.momentum, final.weight_decay) == (0.01, 0.9, 5e-4)
    assert (final.epochs, final.batch_size, final.schedule) == (200, 64, "cosine")
    for recipe in (search, final):
        assert (recipe.crop_padding, recipe.flip, recipe.cutout) == (4, True, 0)
        assert recipe.decay_norm_and_bias
        assert not recipe.nesterov
        assert recipe.label_smoothing == 0
        assert recipe.initialisation == "torch"
        assert recipe.ema is recipe.clip_norm is None


@pytest.mark.parametrize("schedule", ["cosine", "one-cycle"])
def test_schedules_equal_torch(schedule: Schedule) -> None:
    steps, epochs = 7, 6
    recipe = replace(get_recipe("seed-final"), schedule=schedule, warmup=0.3)
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.01, momentum=0.9)
    scheduler: Any
    if schedule == "cosine":
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=epochs)
    else:
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=0.01, total_steps=steps * epochs, cycle_momentum=False
        )
    expected = []
    for step in range(steps * epochs):
        expected.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if schedule == "one-cycle" or step % steps == steps - 1:
            scheduler.step()
    assert rates(recipe.rate, steps, epochs) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("schedule", ["one-cycle", "triangular"])
@pytest.mark.parametrize(("steps", "epochs", "warmup"), [(1, 1, 0.3), (10, 1, 0.1), (3, 50, 0.9)])
def test_cycles_rise_and_fall(schedule: Schedule, steps: int, epochs: int, warmup: float) -> None:
    recipe = replace(get_recipe("fast"), schedule=schedule, warmup=warmup)
    curve = rates(recipe.rate, steps, epochs, recipe.batch_size)
    top = curve.index(max(curve))
    assert curve[: top + 1] == sorted(curve[: top + 1])
    assert curve[top:] == sorted(curve[top:], reverse=True)
    assert all(0 < rate <= recipe.learning_rate * (1 + 1e-12) for rate in curve)


@pytest.mark.parametrize(("exponent", "factor"), [(0.0, 1.0), (0.5, 2.0), (1.0, 4.0)])
def test_rate_follows_the_batch(exponent: float, factor: float) -> None:
    recipe = replace(get_recipe("seed-search"), batch_exponent=exponent)
    assert recipe.rate(0, steps=1, epochs=1, batch_size=256) == pytest.approx(0.01 * factor)


def test_older_versions_stay() -> None:
    for name in ("fast version 1", "final version 2"):
        assert str(get_recipe(name)) == name
        assert get_recipe(name).settings().keys() == get_recipe("seed-final").settings().keys()
    assert get_recipe("fast version 2") is get_recipe("fast")
    assert get_recipe("fast").settings()["optimizer"] == "muon"


def test_a_short_training_augments_less() -> None:
    data = SimpleNamespace(image_shape=(3, 32, 32), name="pets", weigh_classes=False)
    final = replace(get_recipe("final"), mixup=0.2, cutmix=1.0)
    for epochs, expected in ((19, (2, 0, 0, 0)), (20, (4, 8, 0.2, 1)), (None, (4, 8, 0.2, 1))):
        fitted = fit_recipe(final, data, epochs)  # type: ignore[arg-type]
        strengths = (fitted.crop_padding, fitted.cutout, fitted.mixup, fitted.cutmix)
        assert strengths == expected


def test_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no recipe 'slow'.*seed-search, seed-final, fast"):
        get_recipe("slow")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("momentum", 1.0),
        ("weight_decay", -1e-4),
        ("schedule", "step"),
        ("warmup", 1.0),
        ("label_smoothing", 1.0),
        ("clip_norm", 0.0),
        ("crop_padding", -1),
        ("cutout", -1),
        ("ema", 1.0),
        ("initialisation", "zeros"),
        ("precision", "half"),
        ("batch_size", 0),
        ("epochs", 0),
        ("nesterov", True),
        ("optimizer", "lion"),
        ("matrix_rate", 0.0),
        ("matrix_momentum", 1.0),
        ("norm_bias_rate", 0.0),
        ("strong_from", -1),
        ("mixup", -0.1),
        ("cutmix", float("inf")),
        ("stochastic_depth", 1.0),
        ("distillation", 1.1),
        ("temperature", 0.0),
    ],
)
def test_bad_numbers_are_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"'seed-search' has {field}="):
        replace(get_recipe("seed-search"), **{field: value})  # type: ignore[arg-type]


def test_recipes_leave_torch_unloaded() -> None:
    code = "import sys, optuna_de.cnn.recipes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
