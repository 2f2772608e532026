from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from optuna_de.cnn.data import augmentation as augment
from optuna_de.cnn.recipes import Recipe, get_recipe
from optuna_de.cnn.training.memory import TrainingOutOfMemory
from optuna_de.cnn.training.optimizer import initialise, orthogonalised
from optuna_de.cnn.training.state import (
    TrainState,
    ema_weights,
    make_train_state,
    update_ema,
)
from optuna_de.cnn.training.step import Stepper, captured_step, train_step
from tests.cnn.kit import digits, equal, network, weights

CPU = torch.device("cpu")
PLAIN = replace(get_recipe("seed-search"), crop_padding=0, flip=False)
FAST = replace(get_recipe("fast version 1"), crop_padding=1, cutout=3)
MIXED = replace(PLAIN, mixup=0.4, cutmix=1.0, label_smoothing=0.1)


def run_of(recipe: Recipe, model: nn.Module | None = None) -> TrainState:
    run = make_train_state(model or network(dropout=0.0), digits(), recipe, CPU, seed=0)
    run.optimizer.set_rate(0.05)
    return run


@pytest.mark.parametrize("micro", [32, 10])
def test_weights_make_classes_count_alike(micro: int) -> None:
    """The gradient is that of the mean of w l, w from the sizes of classes, also in parts."""
    recipe = replace(PLAIN, class_weights="balanced")
    run, twin = run_of(recipe), network(dropout=0.0)
    draws = torch.zeros((32, 11), dtype=torch.int64)
    draws[:, 0] = torch.arange(32)
    train_step(run, draws, micro=micro)
    labels, sizes = digits().train.labels, digits().train.labels.bincount()
    images = (digits().train.images[:32] / 255 - 0.3) / 0.35
    loss = F.cross_entropy(twin.train()(images), labels[:32], reduction="none")
    weights_of = (len(labels) / (10 * sizes)).float()
    assert weights_of[labels].mean() == pytest.approx(1)
    (loss * weights_of[labels[:32]]).mean().backward()  # type: ignore[no-untyped-call]
    last = next(iter(twin[-1].parameters()))
    assert last.grad is not None
    moved = dict(run.model.named_parameters())["8.weight"]
    tolerance = 1e-6 if micro == 32 else 5e-3  # the norm sees smaller batches
    assert torch.allclose(moved, last - 0.05 * last.grad, atol=tolerance)


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_recipe_chooses_its_optimizer(optimizer: Literal["muon", "adamw"]) -> None:
    """Against torch's own: Muon on matrices of norm sqrt(outputs), and AdamW."""
    recipe = replace(PLAIN, learning_rate=0.1, matrix_rate=0.2, momentum=0.9, matrix_momentum=0.6)
    run = run_of(replace(recipe, optimizer=optimizer, norm_bias_rate=4.0))
    twin = network(dropout=0.0)
    before = next(twin.parameters()).detach().clone()
    rest = torch.optim.SGD(twin.parameters(), lr=0.05, momentum=0.9)
    twins: torch.optim.Optimizer = rest
    if optimizer == "adamw":
        twins = torch.optim.AdamW(twin.parameters(), lr=0.05, betas=(0.9, 0.999), weight_decay=0)
    draws = torch.zeros((32, 11), dtype=torch.int64)
    draws[:, 0] = torch.arange(32)
    train_step(run, draws, micro=32)
    images = (digits().train.images[:32] / 255 - 0.3) / 0.35
    loss = F.cross_entropy(twin(images), digits().train.labels[:32])
    loss.backward()  # type: ignore[no-untyped-call]
    gradient = next(twin.parameters()).grad
    assert gradient is not None
    twins.step()
    moved = dict(run.model.named_parameters())
    for name, parameter in twin.named_parameters():
        if parameter.ndim == 2 or (optimizer == "adamw" and parameter.ndim == 4):
            assert torch.allclose(moved[name], parameter, atol=1e-6), name
    if optimizer == "muon":
        flat = nn.Parameter(before.flatten(1) * len(before) ** 0.5 / before.norm())
        flat.grad = gradient.flatten(1)
        muon = torch.optim.Muon(
            [flat], lr=0.1, weight_decay=0, momentum=0.6, ns_steps=3, adjust_lr_fn="original"
        )
        muon.step()  # type: ignore[no-untyped-call]
        assert torch.allclose(moved["0.weight"].flatten(1), flat, atol=0.02)


@pytest.mark.parametrize(("shape", "error"), [((8, 27), 1e-5), ((40, 9), 1e-5), ((70, 99), 0.02)])
def test_muon_turns_as_newton_and_schulz_do(shape: tuple[int, int], error: float) -> None:
    """The textbook's iteration in float64, in float32 where it is narrow, else in bfloat16."""
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    x = matrix.double() / matrix.norm()
    for _ in range(3):
        a = x @ x.T
        x = 3.4445 * x + (-4.775 * a + 2.0315 * a @ a) @ x
    turned = orthogonalised(matrix, 3).double()
    assert (turned - x).norm() / x.norm() < error


def plans(run: TrainState, batch_size: int, steps: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    plan = augment.draw_augmentations(
        len(run.labels),
        run.images.side,
        generator,
        padding=run.images.padding,
        flip=True,
        mixup=run.recipe.mixup,
        cutmix=run.recipe.cutmix,
    )
    return list(torch.split(plan, batch_size))[:steps]


def test_step_is_textbook_sgd() -> None:
    recipe = replace(
        PLAIN, momentum=0.9, nesterov=True, weight_decay=0.01, label_smoothing=0.1, clip_norm=0.5
    )
    run, twin = run_of(recipe), network(dropout=0.0)
    optimizer = torch.optim.SGD(
        twin.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01
    )
    data = digits()
    rows = [torch.arange(64), torch.arange(64, 128), torch.arange(128, 192)]
    for row in rows:
        plan = torch.zeros((64, 11), dtype=torch.int64)
        plan[:, 0] = row
        train_step(run, plan, micro=64)
        images = (data.train.images[row] / 255 - 0.3) / 0.35
        optimizer.zero_grad()
        loss = F.cross_entropy(twin(images), data.train.labels[row], label_smoothing=0.1)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(twin.parameters(), 0.5)
        optimizer.step()
    for ours, theirs in zip(weights(run.model), weights(twin), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_a_mixed_step_learns_mixed_labels() -> None:
    """Against torch's cross entropy of probabilities, on images mixed one by one."""
    run, twin = run_of(MIXED), network(dropout=0.0)
    (draws,) = plans(run, 64, steps=1)
    train_step(run, draws, micro=64)
    data = digits()
    pool = (data.train.images / 255 - 0.3) / 0.35
    flipped = [pool[d[0]].flip(2) if d[3] else pool[d[0]] for d in draws.tolist()]
    images, labels = torch.stack(flipped), F.one_hot(data.train.labels[draws[:, 0]], 10).float()
    for i, row in enumerate(draws.tolist()):
        blend, top, bottom, left, right = row[6:]
        share = blend / 2**16 + (bottom - top) * (right - left) / 64
        own = flipped[i] * (1 - blend / 2**16) + flipped[i - 1] * blend / 2**16
        own[:, top:bottom, left:right] = flipped[i - 1][:, top:bottom, left:right]
        images[i] = own
        other = data.train.labels[draws[i - 1, 0]]
        labels[i] = labels[i] * (1 - share) + F.one_hot(other, 10) * share
    logits = twin(images)
    loss = F.cross_entropy(logits, labels, label_smoothing=0.1)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.optim.SGD(twin.parameters(), lr=0.05).step()
    for ours, theirs in zip(weights(run.model), weights(twin), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    wrong = (1 - labels.gather(1, logits.argmax(1, keepdim=True))).sum()
    totals = torch.stack([loss.detach() * 64, wrong])
    torch.testing.assert_close(run.totals, totals.to(run.totals), rtol=1e-5, atol=1e-4)


def test_a_step_with_a_teacher_learns_its_answers_too() -> None:
    """Hinton et al. (2015): by hand, as the product of both temperatures' softmaxes."""
    recipe = replace(PLAIN, distillation=0.7, temperature=3.0)
    run, twin, teacher = run_of(recipe), network(dropout=0.0), network(seed=5).eval()
    before = weights(teacher)
    (draws,) = plans(run, 64, steps=1)
    draws[:, 3] = 0
    train_step(replace(run, teacher=teacher), draws, micro=64)
    images = (digits().train.images[draws[:, 0]] / 255 - 0.3) / 0.35
    labels, logits = digits().train.labels[draws[:, 0]], twin(images)
    soft = (teacher(images) / 3).softmax(1).detach()
    divergence = (soft * (soft.log() - (logits / 3).log_softmax(1))).sum(1).mean()
    loss = 0.3 * F.cross_entropy(logits, labels) + 0.7 * 9 * divergence
    loss.backward()
    torch.optim.SGD(twin.parameters(), lr=0.05).step()
    for ours, theirs in zip(weights(run.model), weights(twin), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    assert equal(before, weights(teacher))


@pytest.mark.parametrize("recipe", [PLAIN, FAST, MIXED])
def test_static_step_equals_the_plain_step(recipe: Recipe) -> None:
    plain, static = run_of(recipe), run_of(recipe)
    replay = captured_step(static, 64, 64)
    for plan in plans(plain, 64, steps=5):  # the last has 44 rows
        train_step(plain, plan, 64)
        replay(plan)
    assert equal(weights(plain.model), weights(static.model))
    assert torch.equal(plain.totals, static.totals)


@pytest.mark.parametrize("recipe", [PLAIN, MIXED])
def test_micro_batches_keep_the_mean_loss(recipe: Recipe) -> None:
    whole, parts = (run_of(recipe, network(norm=False, dropout=0.0)) for _ in range(2))
    for plan in plans(whole, 64, steps=5):
        train_step(whole, plan, 64)
        train_step(parts, plan, 24)
    for left, right in zip(weights(whole.model), weights(parts.model), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(whole.totals, parts.totals, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("decayed", [True, False])
def test_norms_and_biases_are_spared_where_the_recipe_says(decayed: bool) -> None:
    run = run_of(replace(PLAIN, weight_decay=0.1, decay_norm_and_bias=decayed))
    for parameter in run.model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    before = weights(run.model)
    run.optimizer.step()
    changed = {
        name
        for (name, now), old in zip(run.model.state_dict().items(), before, strict=True)
        if not torch.equal(now, old)
    }
    kernels = {"0.weight", "4.weight", "8.weight"}
    others = {"0.bias", "1.weight", "4.bias", "8.bias"}  # the norm's bias is 0
    assert changed == (kernels | others if decayed else kernels)


class Exhausted(nn.Module):
    """Runs out of memory at chosen passes, or always above a batch size."""

    def __init__(self, at: int | None = None, above: int | None = None) -> None:
        super().__init__()
        self.at, self.above, self.passes = at, above, 0

    def forward(self, images: Tensor) -> Tensor:
        self.passes += 1
        if self.passes == self.at or (self.above is not None and len(images) > self.above):
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return images


def test_memory_running_out_once_halves_the_micro_batch() -> None:
    limited = run_of(PLAIN, nn.Sequential(Exhausted(at=3), *network(norm=False, dropout=0.0)))
    free = run_of(PLAIN, network(norm=False, dropout=0.0))
    stepper = Stepper(limited, 64, 64)
    for plan in plans(free, 64, steps=5):
        train_step(free, plan, 64)
        stepper(plan)
    assert stepper.micro == 32
    for left, right in zip(weights(limited.model), weights(free.model), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(limited.totals, free.totals, rtol=1e-5, atol=1e-4)


def test_memory_running_out_again_ends_the_training() -> None:
    run = run_of(PLAIN, nn.Sequential(Exhausted(above=10), *network()))
    with pytest.raises(TrainingOutOfMemory, match="micro-batch of 32") as caught:
        Stepper(run, 64, 64)(plans(run, 64, steps=1)[0])
    assert caught.value.__context__ is None  # no frame holds a tensor
    assert all(parameter.grad is None for parameter in run.model.parameters())


def test_other_errors_pass() -> None:
    run = run_of(PLAIN, nn.Sequential(nn.Linear(3, 3), *network()))
    with pytest.raises(RuntimeError, match="shapes"):
        Stepper(run, 64, 64)(plans(run, 64, steps=1)[0])


def test_he_initialisation_keeps_the_variance_through_depth() -> None:
    deep = nn.Sequential(
        *(m for _ in range(12) for m in (nn.Conv2d(16, 16, 3, padding=1), nn.ReLU())),
        nn.Flatten(),
        nn.Linear(16 * 64, 10),
    )
    last = weights(deep[-1])
    initialise(deep, seed=1)
    images = torch.randn(32, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    assert 0.01 < deep[:-2](images).pow(2).mean() < 10
    assert equal(last, weights(deep[-1]))


def test_he_initialisation_spares_layers_before_norms() -> None:
    before, model = network(), network()
    initialise(model, seed=1)
    same = [torch.equal(a, b) for a, b in zip(weights(before), weights(model), strict=True)]
    names = list(model.state_dict())
    changed = {name for name, equal in zip(names, same, strict=True) if not equal}
    assert changed == {"4.weight", "4.bias"}


def test_running_mean_is_lent_and_returned() -> None:
    run = run_of(replace(PLAIN, ema=0.5))
    raw = []
    for number, plan in enumerate(plans(run, 64, steps=3), start=1):
        train_step(run, plan, 64)
        update_ema(run, number)
        raw.append(next(run.model.parameters()).detach().clone())
    mean = next(network(dropout=0.0).parameters()).detach()
    for number, value in enumerate(raw, start=1):
        decay = min(0.5, (1 + number) / (10 + number))
        mean = decay * mean + (1 - decay) * value
    before = weights(run.model)
    with ema_weights(run):
        torch.testing.assert_close(next(run.model.parameters()), mean)
    assert equal(before, weights(run.model))
