"""Lineage: ancestors, edges and the trunk."""

import pytest

from optuna_de.visualization import lineage as _lineage
from optuna_de.visualization import plot_lineage
from optuna_de.visualization.lineage import Info, Node
from tests.visualization import kit


def test_the_family_of_an_edited_child() -> None:
    """Parent 99 is not in the study, and parent 0 stands twice in a plan."""
    assert _lineage.info(kit.family(), trials=[6]) == Info(
        name="error",
        nodes=(
            Node(0, 0.5, "initial", 0, "C7k3"),
            Node(1, 0.6, "initial", 0),
            Node(2, 0.4, "initial", 0),
            Node(4, 0.3, "difference", 1),
            Node(6, 0.25, "edit", 2),
        ),
        edges=((0, 4), (1, 4), (4, 6), (2, 6)),
        trunk=((0, 4), (4, 6)),
        asked=(6,),
        others=((5, 0.2),),
    )


def test_the_best_feasible_trial_is_asked_for() -> None:
    study = kit.study(("maximize", "minimize"))
    for value, constraint in ((1.0, 0.0), (3.0, 0.0), (9.0, 1.0)):
        kit.add(study, value, 1.0, constraint=constraint)
    info = _lineage.info(study)
    assert info.asked == (1,)
    assert info.nodes == (Node(1, 3.0, "added", None),)
    assert info.others == ((0, 1.0), (2, 9.0))


def test_ancestors_of_the_difference_are_drawn_on_demand() -> None:
    study = kit.study()
    kit.add(study, 0.9, 1.0)
    kit.add(study, 0.8, 1.0)
    kit.add(study, 0.7, 1.0, plan=(1, "difference", (1, 0)))
    kit.add(study, 0.6, 1.0, plan=(2, "difference", (0, 2)))
    near = _lineage.info(study)
    assert ([n.number for n in near.nodes], near.edges) == ([0, 2, 3], ((0, 3), (2, 3)))
    whole = _lineage.info(study, all_ancestors=True)
    assert [n.number for n in whole.nodes] == [0, 1, 2, 3]
    assert whole.edges == ((1, 2), (0, 2), (0, 3), (2, 3))


def test_two_lines_join_in_one_trunk() -> None:
    study = kit.study()
    kit.add(study, 0.9, 1.0)
    kit.add(study, 0.8, 1.0, plan=(1, "difference", (0,)))
    kit.add(study, 0.7, 1.0, plan=(2, "difference", (1, 0)))
    kit.add(study, 0.6, 1.0, plan=(2, "difference", (1,)))
    assert _lineage.info(study, trials=[3, 2]).trunk == ((0, 1), (1, 2), (1, 3))


def test_operators_have_symbols_of_their_own() -> None:
    figure = plot_lineage(kit.family(), trials=[6, 5])
    symbols = {t.name: t.marker.symbol for t in figure.data if t.mode == "markers"}
    operators = {"initial", "difference", "edit", "added"}
    assert operators <= set(symbols)
    assert len({symbols[name] for name in operators}) == 4
    assert {a.text for a in figure.layout.annotations} == {"0", "4", "<b>5</b>", "<b>6</b>"}


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="Trial 3 is no completed trial"):
        plot_lineage(kit.family(), trials=[3])
    with pytest.raises(ValueError, match="objective must be 0 to 1, but is 2"):
        plot_lineage(kit.family(), objective=2)


def test_parents_that_go_in_a_circle_end() -> None:
    study = kit.study()
    kit.add(study, 0.5, 1.0, plan=(1, "difference", (1,)))
    kit.add(study, 0.4, 1.0, plan=(1, "difference", (0,)))
    assert _lineage.info(study, all_ancestors=True).trunk == ((1, 0), (0, 1))
