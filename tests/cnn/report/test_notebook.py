"""Rich displays: what they show, that text is escaped, and that nothing to show is said."""

from dataclasses import dataclass
from typing import Any, ClassVar

import optuna
import pytest
from optuna.distributions import CategoricalDistribution

from optuna_de.cnn.architecture.genomes import parse
from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.cnn.report.notebook import (
    Display,
    load_ipython_extension,
    show_front,
    show_network,
    show_space,
)
from optuna_de.search_space.sequence_space import Kind, SequenceSpace
from tests.visualization import kit


def html(shown: Display) -> str:
    return shown._repr_html_()


def test_a_network_shows_its_picture_and_layers() -> None:
    shown = show_network("C7k3-MP")
    assert "<svg" in html(shown)
    assert html(shown).count("<tr>") == 1 + 11
    assert repr(shown).splitlines()[1].split() == [
        "Conv2d-1",
        "7\u00d732\u00d732",
        "196",
        "193,536",
    ]


def test_a_space_shows_kinds_and_ranges() -> None:
    text = repr(show_space(CNNSpace.seed().layers))
    assert "conv | channels 1 to 256; kernel 1 to 7, step 2 | yes" in text
    assert "max_pool |  | no" in text
    assert html(show_space(CNNSpace.seed().layers)).count("<tr>") == text.count("\n") + 1


@dataclass(frozen=True)
class Odd:
    kind: ClassVar[str] = "<b>odd</b>"
    way: str


def test_a_space_of_hostile_choices_is_escaped() -> None:
    space = SequenceSpace((Kind(Odd, {"way": CategoricalDistribution([kit.HOSTILE, "x"])}),), 1, 2)
    assert "<img" not in html(show_space(space))
    assert "<b>" not in html(show_space(space))


def test_a_front_shows_its_trials_by_first_value() -> None:
    study = kit.study(names=["error", "parameters"])
    kit.add(study, 0.5, 1000.0, attrs={"architecture": "C7k3"})
    kit.add(study, 0.25, 12345.0, attrs={"architecture": "C9k3"})
    kit.add(study, 0.6, 99999.0, attrs={"architecture": "C8k3"})
    shown = show_front(study)
    assert repr(shown).splitlines() == [
        "trial | error | parameters | architecture",
        "1 | 25.00% | 12,345 | C9k3",
        "0 | 50.00% | 1,000 | C7k3",
    ]
    assert html(shown).count("<svg") == 2


def test_hostile_text_is_escaped() -> None:
    study = kit.study(names=[kit.HOSTILE, "b"])
    kit.add(study, 0.5, float("inf"), attrs={"architecture": kit.HOSTILE})
    assert "<img" not in html(show_front(study))
    assert "&lt;img" in html(show_front(study))


@pytest.mark.parametrize("constraint", [None, 1.0])
def test_nothing_feasible_is_a_sentence(constraint: float | None) -> None:
    study = kit.study()
    if constraint is not None:
        kit.add(study, 0.5, 1.0, constraint=constraint)
    assert repr(show_front(study)) == "No trial of this study has completed and is feasible."


def test_one_objective_shows_the_best_trial() -> None:
    study: optuna.Study = kit.study(("maximize",))
    kit.add(study, 1.0, attrs={"architecture": "C7k3"})
    kit.add(study, 2.0, attrs={"architecture": "C8k3"})
    assert repr(show_front(study)).splitlines()[1:] == ["1 | 2 | C8k3"]


class Shell:
    """What IPython hands to an extension, down to the formatter."""

    def __init__(self) -> None:
        self.formatters = {"text/html": self}
        self.display_formatter = self
        self.known: dict[type, Any] = {}

    def for_type(self, kind: type, show: Any) -> None:
        self.known[kind] = show


def test_networks_and_spaces_show_themselves_once_loaded() -> None:
    shell = Shell()
    load_ipython_extension(shell)
    network = shell.known[tuple]
    assert "<svg" in network(parse("C7k3-MP"))
    assert [network(other) for other in [(), (1, "a"), parse("MP-MP-MP-MP-MP-MP-C7k3")]] == [
        None
    ] * 3
    assert "their head GAP" in shell.known[CNNSpace](CNNSpace())
    evolved = shell.known[CNNSpace](CNNSpace.seed((1, 8, 8), evolve_head=True))
    assert "1\u00d78\u00d78 in 10 classes" in evolved
    assert "head: 1 to 3 units" in evolved
    assert "norm_conv" in shell.known[SequenceSpace](CNNSpace().layers)
