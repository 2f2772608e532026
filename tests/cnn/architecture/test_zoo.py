import subprocess
import sys

import pytest

from optuna_de.cnn.architecture.cost import count_macs, count_parameters
from optuna_de.cnn.architecture.genomes import check, parse
from optuna_de.cnn.architecture.units import Conv, NormConv
from optuna_de.cnn.architecture.zoo import MODEL_1, MODEL_2, ZOO, get_architecture

PARAMETERS = {
    "model1": 16_477_306,
    "model2": 7_796_674,
    "alexnet": 23_272_266,
    "vgg16": 14_719_818,
    "vgg16_bn": 14_724_042,
    "resnet20": 272_474,
    "simplenet": 5_493_834,
    "simpnet_300k": 300_288,
    "simpnet_600k": 600_062,
    "mobilenetv2_half": 700_490,  # torchvision's mobilenet_v2 at width 0.5
    "tiniest": 97_530 - 128,
    "airbench94": 1_972_490,
}


def test_parameters_are_those_of_the_published_networks() -> None:
    assert {name: count_parameters(genome) for name, genome in ZOO.items()} == PARAMETERS


def test_simpnet_has_the_published_parameters_but_for_biases_before_norms() -> None:
    """Hasanpour et al., 2018, table of slim versions: 300 k and 600 k."""
    for name, published in (("simpnet_300k", 300_000), ("simpnet_600k", 600_000)):
        biases = sum(unit.channels for unit in ZOO[name] if isinstance(unit, NormConv))
        assert PARAMETERS[name] + biases == pytest.approx(published, rel=0.01)


def test_published_texts() -> None:
    assert ZOO["model1"] == parse(MODEL_1)
    assert ZOO["model2"] == parse(MODEL_2)


def test_vgg16_needs_the_multiply_accumulates_of_its_convolutions() -> None:
    sides = [32, 32, 16, 16, 8, 8, 8, 4, 4, 4, 2, 2, 2]
    widths = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    pairs = zip(widths, widths[1:], sides, strict=False)
    convolutions = sum(9 * a * b * side**2 for a, b, side in pairs)
    assert count_macs(ZOO["vgg16"]) == convolutions + 512 * 10


@pytest.mark.parametrize("name", ZOO)
def test_every_network_is_possible_and_known_by_name(name: str) -> None:
    check(ZOO[name])
    assert get_architecture(name) == get_architecture(f" {name.upper()} ") == ZOO[name]


def test_texts_are_known() -> None:
    assert get_architecture("C7k3-C8k3") == (Conv(7, 3), Conv(8, 3))


def test_unknown_names_are_refused_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"'vgg99' is neither one of model1, .*'vgg99'") as caught:
        get_architecture("vgg99")
    assert "\n" not in str(caught.value)


def test_the_zoo_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        ZOO["model1"] = ()  # type: ignore[index]


def test_torch_stays_unloaded() -> None:
    code = "import sys, optuna_de.cnn.architecture; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
