"""Known networks: each band has one of its size, within limits and cost, spelt by the space."""

from dataclasses import replace

import pytest

from optuna_de.cnn import CNNSpace, count_macs, count_parameters, get_architecture, parse, render
from optuna_de.cnn.architecture.prices import MACS, PARAMETERS, Limit
from optuna_de.cnn.architecture.region import Region
from optuna_de.cnn.fitting.known_networks import known_networks

REGION = Region(20_000, 1_000_000)
SPACE = CNNSpace(
    min_parameters=REGION.min_parameters, limits=(Limit(PARAMETERS, REGION.max_parameters),)
)


@pytest.mark.parametrize(("side", "stem"), [(32, ""), (64, ""), (64, "SILU-WH2-")])
def test_each_band_has_a_network_before_one_has_two(side: int, stem: str) -> None:
    space = replace(SPACE, image_shape=(3, side, side), stem=parse(f"{stem}B8k3")[:-1])
    known = known_networks(space, REGION, 5)
    genomes = [parse(text) for _, text in known]
    sizes = [count_parameters(genome, space.image_shape) for genome in genomes]
    bands = [i for size in sizes for i, (a, b) in enumerate(REGION.bands()) if a <= size < b]
    assert bands[:4] == [3, 2, 1, 0]
    assert len({text for _, text in known}) == len(bands) == 5
    assert all(space.decode(space.encode(genome)) == genome for genome in genomes)
    assert all(text.startswith(stem) for _, text in known)
    assert all(
        f"{size:,}" in name for (name, _), size in zip(known, sizes, strict=True) if "of" in name
    )
    assert known == known_networks(space, REGION, 5)


def test_what_was_published_keeps_its_name_and_widths() -> None:
    known = dict(known_networks(SPACE, REGION, 4))
    assert known["resnet20"] == render(get_architecture("resnet20"))


def test_limits_and_costs_leave_networks_out() -> None:
    cap = Limit(MACS, 20_000_000)
    known = known_networks(replace(SPACE, limits=(*SPACE.limits, cap)), REGION, 9)
    assert known
    assert max(count_macs(parse(text)) for _, text in known) <= cap.most
    assert "simpnet_300k" not in dict(known_networks(SPACE, REGION, 99))  # 97 million MACs
    assert known_networks(SPACE, REGION, 0) == ()
    assert known_networks(CNNSpace.seed(evolve_head=True), REGION, 5) == ()


def test_what_takes_too_many_multiply_accumulates_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [name for name, _ in known_networks(SPACE, REGION, 20)]
    assert any(name.startswith("resnet20 of 6") for name in names)
    monkeypatch.setattr("optuna_de.cnn.fitting.known_networks.COSTLIEST", 0.5)
    fewer = [name for name, _ in known_networks(SPACE, REGION, 20)]
    assert set(fewer) < set(names)
    assert not any(name.startswith("resnet20 of 6") for name in fewer)
