import math
from random import Random

import pytest
import torch
import torchinfo
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from optuna_de.cnn.architecture.cost import count_macs, count_parameters, trace
from optuna_de.cnn.architecture.expand import expand
from optuna_de.cnn.architecture.genomes import Genome, parse
from optuna_de.cnn.architecture.units import Unit
from optuna_de.cnn.architecture.zoo import MODEL_1, MODEL_2, ZOO
from optuna_de.cnn.modules.build import _module, build
from optuna_de.cnn.modules.custom_layers import ChannelNorm, ChannelSplit, Concat
from tests.cnn.architecture.kit import random_genome

TASKS = (((3, 32, 32), 10), ((1, 28, 28), 10), ((3, 33, 47), 4), ((1, 8, 8), 10), ((2, 2, 5), 2))
EVERY_UNIT = "C7k3-MP-B8k1-S16k3-R16k5-R12k3-D9k7-AP-P10k3-G8k7-A8k3-I8k5s4-I12k3e1-M9-M9e2-E8w3s1"


def meta(genome: Genome, image_shape: tuple[int, int, int], classes: int) -> nn.Sequential:
    with torch.device("meta"):
        return build(genome, image_shape, classes)


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def torch_macs(model: nn.Module, image_shape: tuple[int, int, int]) -> int:
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model.eval()(torch.empty((1, *image_shape), device="meta"))
    return counter.get_total_flops() // 2


def seeded(text: str, image_shape: tuple[int, int, int], classes: int = 4) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build(parse(text), image_shape, classes)


def images(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def test_torch_counts_what_the_analysis_counts_for_random_genomes() -> None:
    rng = Random(0)
    for number in range(200):
        image_shape, classes = TASKS[number % len(TASKS)]
        genome = random_genome(rng, image_shape)
        model = meta(genome, image_shape, classes)
        assert parameters(model) == count_parameters(genome, image_shape, classes)
        assert torch_macs(model, image_shape) == count_macs(genome, image_shape, classes)


@pytest.mark.parametrize("name", ZOO)
def test_torch_counts_what_the_analysis_counts_for_the_zoo(name: str) -> None:
    model = meta(ZOO[name], (3, 32, 32), 10)
    assert parameters(model) == count_parameters(ZOO[name])
    assert torch_macs(model, (3, 32, 32)) == count_macs(ZOO[name])


@pytest.mark.parametrize(("text", "size"), [(MODEL_1, 16_477_306), (MODEL_2, 7_796_674)])
def test_published_models_have_their_published_size(text: str, size: int) -> None:
    assert parameters(meta(parse(text), (3, 32, 32), 10)) == size


def test_torchinfo_agrees() -> None:
    genome = parse("C7k3-MP-C12k5-AP-FC64")
    summary = torchinfo.summary(build(genome, (3, 33, 47), 4), (1, 3, 33, 47), verbose=0)
    biases = sum(row.macs for row in trace(genome, (3, 33, 47), 4))
    assert summary.total_params == count_parameters(genome, (3, 33, 47), 4)
    # torchinfo also counts one operation for each bias: per pixel, and per neuron.
    assert summary.total_mult_adds - biases == 7 * 33 * 47 + 12 * 16 * 23 + 64 + 4


@pytest.mark.parametrize(("image_shape", "classes"), TASKS[:3])
def test_shapes_are_those_of_the_table(image_shape: tuple[int, int, int], classes: int) -> None:
    genome = parse(EVERY_UNIT)
    model = build(genome, image_shape, classes)
    seen: list[tuple[str, tuple[int, ...]]] = []
    for module in model.modules():
        if not isinstance(module, nn.Sequential | nn.ModuleList | nn.ReLU):
            module.register_forward_hook(
                lambda m, _, out: seen.append((type(m).__name__, tuple(out.shape[1:])))
            )
    assert model(torch.zeros(2, *image_shape)).shape == (2, classes)
    table = [
        (row.name.split("-")[0], row.output_shape)
        for row in trace(genome, image_shape, classes)
        if not row.name.startswith("ReLU")  # moved behind maximum pools
    ]
    names = {"BoxFilter": "AvgPool2d", "GlobalAvgPool2d": "AdaptiveAvgPool2d"}
    assert seen == [(names.get(name, name), shape) for name, shape in table]


@pytest.mark.parametrize("head", ["", "-FC9", "-FC9-FC8-FC7", "-GAP", "-GAP-FC9"])
def test_every_unit_and_head_learns(head: str) -> None:
    model = seeded(EVERY_UNIT + head, (3, 17, 19))
    F.cross_entropy(model(images(4, 3, 17, 19)), torch.arange(4)).backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert all(p.grad is not None and p.grad.any() for p in model.parameters() if p.ndim == 4)


def test_the_derived_head_drops_out_before_its_first_two_layers() -> None:
    names = [type(m).__name__ for m in build(parse("C4k3"), (1, 8, 8), 4)]
    assert names == ["Conv2d", "ReLU", "Flatten", *(2 * ["Dropout", "Linear", "ReLU"]), "Linear"]
    rates = [m.p for m in build(parse("C4k3"), (1, 8, 8), 4) if isinstance(m, nn.Dropout)]
    assert rates == [0.5, 0.5]


def test_seed_convolutions_have_bias_and_normalised_ones_do_not() -> None:
    seed, norm = (
        build(parse("C4k3-GAP"), (1, 8, 8), 4)[0],
        build(parse("B4k3-GAP"), (1, 8, 8), 4)[0],
    )
    assert isinstance(seed, nn.Conv2d)
    assert isinstance(norm, nn.Conv2d)
    assert seed.bias is not None
    assert norm.bias is None


def body(model: nn.Sequential, x: Tensor) -> Tensor:
    """Return what the layers before the global average make of images."""
    end = next(i for i, m in enumerate(model) if isinstance(m, nn.AdaptiveAvgPool2d))
    result: Tensor = model[:end].eval()(x)
    return result


def weights(model: nn.Module) -> list[Tensor]:
    return [p for p in model.parameters() if p.ndim == 4]


def scale(x: Tensor) -> Tensor:
    """Normalise as batch normalisation does before it has seen an image."""
    return x / math.sqrt(1 + 1e-5)


def test_a_residual_unit_adds_its_input() -> None:
    x = images(2, 6, 9, 7)
    model = seeded("R6k3-GAP", (6, 9, 7))
    a, b = weights(model)
    inner = scale(F.conv2d(x, a, padding=1)).relu()
    expected = (x + scale(F.conv2d(inner, b, padding=1))).relu()
    torch.testing.assert_close(body(model, x.clone()), expected)


def test_a_residual_unit_projects_an_input_of_other_width() -> None:
    x = images(2, 6, 9, 7)
    model = seeded("R4k5-GAP", (6, 9, 7))
    a, b, skip = weights(model)
    inner = scale(F.conv2d(x, a, padding=2)).relu()
    outer = scale(F.conv2d(inner, b, padding=2)) + scale(F.conv2d(x, skip))
    torch.testing.assert_close(body(model, x.clone()), outer.relu())


def test_a_separable_unit_filters_each_channel_then_mixes_them() -> None:
    x = images(2, 6, 9, 7)
    model = seeded("D5k3-GAP", (6, 9, 7))
    each, mix = weights(model)
    alone = [F.conv2d(x[:, i : i + 1], each[i : i + 1], padding=1) for i in range(6)]
    expected = scale(F.conv2d(scale(torch.cat(alone, 1)).relu(), mix)).relu()
    torch.testing.assert_close(body(model, x.clone()), expected)


def test_a_parallel_unit_joins_its_paths() -> None:
    x = images(2, 6, 9, 7)
    model = seeded("P5k5-GAP", (6, 9, 7))
    point, wide = weights(model)
    assert (len(point), len(wide)) == (2, 3)
    expected = torch.cat([scale(F.conv2d(x, point)), scale(F.conv2d(x, wide, padding=2))], 1)
    torch.testing.assert_close(body(model, x.clone()), expected.relu())


def test_a_strided_unit_halves_the_sides_rounded_up() -> None:
    x = images(2, 6, 9, 7)
    model = seeded("S5k3-GAP", (6, 9, 7))
    expected = scale(F.conv2d(x, weights(model)[0], stride=2, padding=1)).relu()
    assert expected.shape == (2, 5, 5, 4)
    torch.testing.assert_close(body(model, x.clone()), expected)


def test_a_grouped_unit_filters_groups_alone() -> None:
    x = images(2, 6, 9, 7)
    model = seeded("G4k3g8-GAP", (6, 9, 7))  # gcd(8, 6, 4) = 2 groups
    (weight,) = weights(model)
    halves = zip(x.chunk(2, 1), weight.chunk(2), strict=True)
    expected = torch.cat([F.conv2d(part, w, padding=1) for part, w in halves], 1)
    torch.testing.assert_close(body(model, x.clone()), scale(expected).relu())


def test_a_dilated_unit_skips_pixels_and_keeps_the_sides() -> None:
    x = images(2, 6, 9, 7)
    model = seeded("A4k3d3-GAP", (6, 9, 7))
    expected = scale(F.conv2d(x, weights(model)[0], padding=3, dilation=3)).relu()
    assert expected.shape == (2, 4, 9, 7)
    torch.testing.assert_close(body(model, x.clone()), expected)


def test_an_inverted_bottleneck_expands_filters_excites_and_projects() -> None:
    x = images(2, 6, 9, 7)
    model = seeded("I6k5e2s3-GAP", (6, 9, 7))
    expand, depthwise, down, up, project = weights(model)
    bias_down, bias_up = (
        m.bias for m in model.modules() if isinstance(m, nn.Conv2d) and m.bias is not None
    )
    hidden = F.hardswish(scale(F.conv2d(x, expand)))
    hidden = F.hardswish(scale(F.conv2d(hidden, depthwise, padding=2, groups=12)))
    gate = F.conv2d(
        F.conv2d(hidden.mean((2, 3), keepdim=True), down, bias_down).relu(), up, bias_up
    )
    hidden = hidden * F.hardsigmoid(gate)
    torch.testing.assert_close(body(model, x.clone()), x + scale(F.conv2d(hidden, project)))
    assert (len(down), len(project)) == (4, 6)


def test_an_inverted_bottleneck_of_other_width_has_no_skip() -> None:
    x = images(2, 6, 9, 7)
    model = seeded("I4k3e1-GAP", (6, 9, 7))
    depthwise, project = weights(model)
    hidden = F.hardswish(scale(F.conv2d(x, depthwise, padding=1, groups=6)))
    torch.testing.assert_close(body(model, x.clone()), scale(F.conv2d(hidden, project)))


def test_a_mixer_filters_shares_of_the_channels_and_gates_their_mixture() -> None:
    x = images(2, 6, 9, 7)
    model = seeded("M6e2-GAP", (6, 9, 7))
    p = {name.split(".", 2)[-1]: tensor for name, tensor in model.named_parameters()}
    factor = p.pop("1.0.weight")
    three, seven, far, value, gate, project = (t for n, t in p.items() if t.ndim == 4)
    biases = [t for n, t in p.items() if n.endswith("bias")]
    a, b, c, d = torch.tensor_split(x, 4, 1)
    b = F.conv2d(b, three, biases[0], padding=1, groups=2)
    c = F.conv2d(c, seven, biases[1], padding=3)
    d = F.conv2d(F.avg_pool2d(d, 3, 1, 1), far, biases[2], padding=9, dilation=3)
    mixed = F.layer_norm(torch.cat([a, b, c, d], 1).permute(0, 2, 3, 1), [6]).permute(0, 3, 1, 2)
    hidden = F.conv2d(mixed, value, biases[4]) * F.gelu(F.conv2d(mixed, gate, biases[5]))
    expected = x * factor.view(-1, 1, 1) + F.conv2d(hidden, project, biases[6])
    torch.testing.assert_close(body(model, x.clone()), expected)


@pytest.mark.parametrize("inputs", [1, 2, 3, 4])
def test_a_mixer_of_few_channels_has_fewer_shares(inputs: int) -> None:
    model = seeded("M5-GAP", (inputs, 9, 7))
    assert body(model, images(2, inputs, 9, 7)).shape == (2, 5, 9, 7)


def test_patches_are_a_strided_convolution_without_activation() -> None:
    x = images(2, 6, 9, 8)
    model = seeded("E4w4s2g3-GAP", (6, 9, 8))  # gcd(3, 6, 4) = 1 group
    expected = scale(F.conv2d(x, weights(model)[0], stride=2, padding=1))
    assert expected.shape == (2, 4, 4, 4)
    torch.testing.assert_close(body(model, x.clone()), expected)


def test_a_whitening_unit_holds_every_number_of_a_window_in_both_signs() -> None:
    x = images(2, 2, 9, 8)
    model = seeded("GELU-WH2s2-GAP", (2, 9, 8))
    windows = F.unfold(x, 2).view(2, 8, 8, 7)
    torch.testing.assert_close(body(model, x.clone()), F.gelu(torch.cat([windows, -windows], 1)))
    assert not next(model.parameters()).requires_grad
    assert seeded("WH-B4k1-GAP", (2, 9, 8))[0](x).shape == (2, 18, 9, 8)


@pytest.mark.parametrize(
    ("switch", "kind"),
    [("RELU", nn.ReLU), ("SILU", nn.SiLU), ("GELU", nn.GELU), ("HSWISH", nn.Hardswish)],
)
def test_a_switch_chooses_the_activations_behind_it(switch: str, kind: type[nn.Module]) -> None:
    every = {nn.ReLU, nn.SiLU, nn.GELU, nn.Hardswish}
    model = build(parse(f"B4k3-{switch}-R4k3-I8k3s2-M8-C3k3-FC5"), (3, 8, 8), 4)
    activations = [type(m) for m in model.modules() if type(m) in every]
    assert activations == [nn.ReLU, *[kind] * 8]
    plain = parse("B4k3-R4k3-I8k3s2-M8-C3k3-FC5")
    assert parameters(model) == count_parameters(plain, (3, 8, 8), 4)


def test_a_switch_chooses_the_norms_behind_it_up_to_the_next() -> None:
    model = build(parse("LN-B4k3-R5k3-BN-B6k3-M6-GAP"), (3, 8, 8), 4)
    norms = [m for m in model.modules() if isinstance(m, ChannelNorm | nn.BatchNorm2d)]
    assert [isinstance(m, ChannelNorm) for m in norms] == [True] * 4 + [False] * 2
    assert len(model(images(2, 3, 8, 8))) == 2


def test_images_are_left_as_they_were() -> None:
    genome: list[Unit] = list(parse("R3k3-P4k3-MP-GAP"))
    before, x = list(genome), images(2, 3, 8, 8)
    kept = x.clone()
    build(genome, (3, 8, 8), 4)(x)
    assert genome == before
    assert torch.equal(x, kept)


def test_the_same_seed_draws_the_same_weights() -> None:
    left, right = (seeded(EVERY_UNIT, (3, 17, 19)) for _ in range(2))
    pairs = zip(left.state_dict().values(), right.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_genome_that_does_not_fit_is_not_built() -> None:
    with pytest.raises(ValueError, match="more pools"):
        build(parse("C7k3-MP-MP-MP"), (3, 8, 8), 4)


def test_rectifiers_work_in_place() -> None:
    rectifiers = [
        m for m in build(parse(EVERY_UNIT), (3, 17, 19), 4).modules() if type(m) is nn.ReLU
    ]
    assert len(rectifiers) == 15
    assert all(rectifier.inplace for rectifier in rectifiers)


def test_rectifiers_behind_maximum_pools_change_no_number() -> None:
    text, shape = "C8k3-MP-MP-B6k3-MP-R6k3-AP-GAP", (3, 33, 40)
    swapped = seeded(text, shape).eval()
    stages = expand(parse(text), shape, 4)
    plain = nn.Sequential(*(_module(p) for stage in stages for p in stage)).eval()
    plain.load_state_dict(swapped.state_dict())
    kinds = [type(m) for m in swapped]
    assert kinds[:4] == [nn.Conv2d, nn.MaxPool2d, nn.MaxPool2d, nn.ReLU]
    assert kinds != [type(m) for m in plain]
    x = images(5, *shape)
    for model in (swapped, plain):
        F.cross_entropy(model(x), torch.arange(5) % 4).backward()  # type: ignore[no-untyped-call]
    assert torch.equal(swapped(x), plain(x))
    for left, right in zip(swapped.parameters(), plain.parameters(), strict=True):
        assert left.grad is not None
        assert right.grad is not None
        assert torch.equal(left.grad, right.grad)


@pytest.mark.parametrize("text", ["B8k3-P8k3-GAP", "B8k3-M8-GAP"])
def test_paths_get_gradients_without_gaps(text: str) -> None:
    module = build(parse(text), (3, 8, 8), 10).to(memory_format=torch.channels_last)
    join = next(m for m in module.modules() if isinstance(m, Concat | ChannelSplit))
    dense: list[bool] = []

    def look(_: nn.Module, gradient: tuple[Tensor, ...] | Tensor) -> None:
        dense.append(gradient[0].is_contiguous(memory_format=torch.channels_last))

    for branch in join.branches:
        branch.register_full_backward_pre_hook(look)
    logits: Tensor = module(torch.randn(2, 3, 8, 8))
    logits.sum().backward()  # type: ignore[no-untyped-call]
    assert dense == [True] * len(join.branches)
