import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as tv

from optuna_de.cnn.data import augmentation as augment

SIDES = [(32, 32), (8, 8), (7, 5)]


def images(n: int, side: tuple[int, int], channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(0, 256, (n, channels, *side), dtype=torch.uint8, generator=generator)
    return drawn.contiguous(memory_format=torch.channels_last)


def plan_for(n: int, side: tuple[int, int], padding: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return augment.draw_augmentations(n, side, generator, padding=padding, flip=True)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("mode", ["constant", "reflect"])
@pytest.mark.parametrize(("channels", "padding"), [(3, 4), (1, 1), (3, 0)])
def test_crop_and_flip_equal_torchvision(
    side: tuple[int, int], mode: str, channels: int, padding: int
) -> None:
    pool = images(200, side, channels)
    plan = plan_for(200, side, padding)
    ours = augment.crop_and_flip(augment.pad(pool, padding, reflect=mode == "reflect"), plan)
    for image, (row, top, left, flip, *_) in zip(ours, plan.tolist(), strict=True):
        bordered = tv.pad(pool[row], [padding] * 4, padding_mode=mode)
        theirs = tv.crop(bordered, top, left, *side)
        assert torch.equal(image, tv.horizontal_flip(theirs) if flip else theirs)


@pytest.mark.parametrize("cutout", [1, 4, 5, 8])
def test_erase_equals_torchvision(cutout: int) -> None:
    side = (12, 10)
    pool = images(100, side).float()
    plan = plan_for(100, side, 0)
    ours = augment.cutout(pool, plan, cutout)
    for image, before, (_, _, _, _, y, x, *_) in zip(ours, pool, plan.tolist(), strict=True):
        top, left = y - cutout // 2, x - cutout // 2
        bottom, right = min(top + cutout, side[0]), min(left + cutout, side[1])
        top, left = max(top, 0), max(left, 0)
        theirs = tv.erase(
            before,
            top,
            left,
            bottom - top,
            right - left,
            torch.zeros(3, bottom - top, right - left),
        )
        assert torch.equal(image, theirs)


def test_normaliser_equals_torchvision() -> None:
    mean, std = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)
    pool = images(5, (32, 32))
    theirs = tv.normalize(tv.to_dtype(pool, torch.float32, scale=True), mean, std)
    ours = augment.normaliser(mean, std, (32, 32), torch.device("cpu"))(pool)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=2e-6)
    assert ours.is_contiguous(memory_format=torch.channels_last)


def test_offsets_have_the_law_of_random_crop() -> None:
    plan = plan_for(20_000, (32, 32), 4)
    crop = v2.RandomCrop(32, padding=4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = [crop.make_params([torch.zeros(3, 32, 32)]) for _ in range(300)]
    assert {p["top"] for p in drawn} == {p["left"] for p in drawn} == set(range(9))
    for column, count in ((1, 9), (2, 9), (3, 2), (4, 32), (5, 32)):
        frequency = torch.bincount(plan[:, column], minlength=count) / len(plan)
        assert len(frequency) == count
        assert (frequency - 1 / count).abs().max() < 5 * (1 / count / len(plan)) ** 0.5


def test_a_plan_takes_every_image_once_and_follows_the_seed() -> None:
    plan = plan_for(500, (8, 8), 1)
    assert torch.equal(plan[:, 0].sort().values, torch.arange(500))
    assert torch.equal(plan, plan_for(500, (8, 8), 1))
    assert not torch.equal(plan, plan_for(500, (8, 8), 1, seed=1))


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.2, 0.0), (0.0, 1.0), (1.0, 1.0)])
def test_mixing_has_the_law_of_its_recipe(mixup: float, cutmix: float) -> None:
    """A Beta(a, a) has mean 1/2 and variance 1 / (4 (2 a + 1)); patches are clipped."""
    n, side = 20_000, (32, 24)
    draws = [
        augment.draw_augmentations(n, side, generator, mixup=mixup, cutmix=cutmix)
        for generator in (torch.Generator().manual_seed(s) for s in (0, 0, 1))
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0][:, 6:], draws[2][:, 6:])
    blend, top, bottom, left, right = draws[0][:, 6:].unbind(1)
    area = (bottom - top) * (right - left)
    assert not (blend * area).any()
    assert top.min() >= left.min() >= 0
    assert bottom.max() <= 32
    assert right.max() <= 24
    if mixup and not cutmix:
        shares = blend / 2**16
        assert shares.mean() == pytest.approx(0.5, abs=0.02)
        assert shares.var() == pytest.approx(1 / (4 * (2 * mixup + 1)), abs=0.01)
    blended = int((blend > 0).sum()) / n  # shares below 1/131072 are none
    assert blended == pytest.approx(
        {(0.2, 0.0): 0.95, (0.0, 1.0): 0.0}.get((mixup, cutmix), 0.5), abs=0.03
    )
    assert (area > 0).any() == (cutmix > 0)


def test_nothing_more_is_drawn_without_mixing() -> None:
    """Trainings of recipes stored before go on bit for bit."""
    generators = [torch.Generator().manual_seed(0) for _ in range(2)]
    plan = augment.draw_augmentations(50, (8, 8), generators[0], padding=1, flip=True)
    for end in (3, 3, 2, 8, 8):
        torch.randint(end, (50,), generator=generators[1])
    assert torch.equal(plan[:, 0], torch.randperm(50, generator=generators[1]))
    assert torch.equal(*(g.get_state() for g in generators))
    assert not plan[:, 6:].any()


def test_without_padding_and_flip_images_pass_unchanged() -> None:
    pool = images(50, (8, 8))
    plan = augment.draw_augmentations(50, (8, 8), torch.Generator().manual_seed(0))
    ours = augment.crop_and_flip(augment.pad(pool, 0), plan)
    assert torch.equal(ours, pool[plan[:, 0]])
    assert ours.is_contiguous(memory_format=torch.channels_last)


def test_inputs_are_left_alone() -> None:
    pool = images(20, (8, 8))
    before = pool.clone()
    plan = plan_for(20, (8, 8), 2)
    floats = augment.normaliser((0.5,) * 3, (0.2,) * 3, (8, 8), pool.device)(
        augment.crop_and_flip(augment.pad(pool, 2), plan)
    )
    kept = floats.clone()
    augment.cutout(floats, plan, 4)
    assert torch.equal(pool, before)
    assert torch.equal(floats, kept)
