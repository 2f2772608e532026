"""Pictures of architectures: counts, scale, skips and branches, escaped text."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from optuna_de._text import amount
from optuna_de.cnn.architecture.cost import count_parameters
from optuna_de.cnn.architecture.genomes import parse
from optuna_de.cnn.architecture.units import FC, UNITS, Conv, Parallel, Residual, Unit
from optuna_de.cnn.architecture.zoo import ZOO
from optuna_de.cnn.drawing.columns import Scale, columns
from optuna_de.cnn.drawing.layout import Picture, Rect, picture
from optuna_de.cnn.drawing.plots import (
    draw_comparison_svg,
    draw_svg,
    plot_architecture,
    plot_comparison,
)

IMAGE = (3, 32, 32)
EVERY = (
    "C8k3-B16k3-R16k3-R32k5-G32k7-S64k3-P64k5-M64-A64k3-MP-I64k5s4-D128k3-M96e2-AP-P95k3"
    "-I95k3e1s2-I80k3-GMP-FC64"
)
HOSTILE = "</svg><script>alert(1)</script>&\x00\x0b'\""
SVG = "{http://www.w3.org/2000/svg}"


def draw(text: str) -> Picture:
    network = columns(parse(text), IMAGE, 10)
    return picture(network, text, Scale.of(network))


def blocks(drawn: Picture, kind: type[Unit]) -> list[Rect]:
    return [r for r in drawn.rects if r.colour == kind.colour and r.note[0].isalpha()]


@pytest.mark.parametrize("name", sorted(ZOO))
def test_columns_hold_all_parameters(name: str) -> None:
    network = columns(ZOO[name], IMAGE, 10)
    assert sum(c.parameters for c in network) == count_parameters(ZOO[name], IMAGE, 10)
    assert all(a.output_shape == b.input_shape for a, b in pairwise(network))
    assert network[-1].output_shape == (10,)


def test_columns_of_the_seeds_model_2() -> None:
    network = columns(ZOO["model2"], IMAGE, 10)
    rows = [(c.label, c.output_shape, c.parameters) for c in network]
    assert rows == [
        ("image", (3, 32, 32), 0),
        ("C7k3", (7, 32, 32), 196),
        ("C195k5", (195, 32, 32), 34_320),
        ("MP", (195, 16, 16), 0),
        ("MP", (195, 8, 8), 0),
        ("C219k5", (219, 8, 8), 1_067_844),
        ("C188k5", (188, 8, 8), 1_029_488),
        ("AP", (188, 4, 4), 0),
        ("FC1504", (1504,), 4_525_536),
        ("FC752", (752,), 1_131_760),
        ("classes", (10,), 7_530),
    ]


def test_the_head_is_a_column_per_layer_with_the_others_in_its_notes() -> None:
    network = columns(parse("C4k3-GAP-FC64"), IMAGE, 10)[2:]
    assert [(c.label, c.output_shape) for c in network] == [
        ("GAP", (4, 1, 1)),
        ("FC64", (64,)),
        ("classes", (10,)),
    ]
    names = [[layer.name.partition("-")[0] for layer in c.layers] for c in network]
    assert names == [["GlobalAvgPool2d"], ["Flatten", "Dropout", "Linear", "ReLU"], ["Linear"]]


def test_maps_are_to_scale() -> None:
    wide, narrow = blocks(draw("C100k3-MP-C25k3"), Conv)
    assert wide.height == 2 * narrow.height
    assert wide.width == pytest.approx(2 * narrow.width)


def test_layers_of_features_are_to_scale_and_no_higher_than_the_image() -> None:
    wide, narrow, classes = blocks(draw("C256k3-FC40000-FC10000"), FC)
    assert wide.height == 96.0
    assert narrow.height == pytest.approx(48.0)
    assert classes.height == pytest.approx(96.0 * (10 / 40_000) ** 0.5)


def test_bars_are_to_scale() -> None:
    drawn = draw("B50k3-B100k3-GAP")
    bars = {r.note: r.height for r in drawn.rects if r.note.endswith(" parameters")}
    one = bars["45,200 parameters"] / 45_200
    assert bars == pytest.approx(
        {
            "1,450 parameters": 1_450 * one,
            "45,200 parameters": 45_200 * one,
            "1,010 parameters": 1_010 * one,
        }
    )


@pytest.mark.parametrize(("text", "projected"), [("B16k3-R16k3", 0), ("B16k3-R32k3", 1)])
def test_a_skip_shows_whether_it_is_projected(text: str, projected: int) -> None:
    drawn = draw(text)
    assert len(blocks(drawn, Residual)) == 2
    assert [r.note for r in drawn.rects].count("1\u00d71 convolution on the skip") == projected
    top = min(r.y for r in blocks(drawn, Residual))
    assert any(len(line) == 4 and line[1][1] < top for line in drawn.lines)


def test_branches_lie_side_by_side_and_do_not_touch() -> None:
    upper, lower = sorted(blocks(draw("P9k5"), Parallel), key=lambda r: r.y)
    assert upper.y + upper.height < lower.y
    assert upper.y > max(t.y for t in draw("P9k5").texts if not t.centred)
    assert lower.y + lower.height < min(t.y for t in draw("P9k5").texts if t.centred) - 11
    assert (upper.width / lower.width) ** 2 == pytest.approx(4 / 5)


def test_no_two_blocks_overlap_and_all_lie_inside() -> None:
    drawn = draw(EVERY)
    for i, a in enumerate(drawn.rects):
        assert 0 <= a.x <= a.x + a.width <= drawn.width
        assert 0 <= a.y <= a.y + a.height <= drawn.height
        for b in drawn.rects[i + 1 :]:
            apart_x = a.x + a.width <= b.x or b.x + b.width <= a.x
            apart_y = a.y + a.height <= b.y or b.y + b.height <= a.y
            assert apart_x or apart_y, (a, b)


def test_every_unit_has_a_colour_of_its_own_or_grey() -> None:
    colours = [u.colour for u in UNITS.values() if u.colour not in ("#999999", "#777777")]
    assert all(re.fullmatch(r"#[0-9A-F]{6}", colour) for colour in colours)
    assert len(set(colours)) == len(colours) == 13


def test_svg_is_xml_that_shows_each_column() -> None:
    root = ET.fromstring(draw_svg(EVERY))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    for column in columns(parse(EVERY), IMAGE, 10):
        assert column.label in texts
        assert amount(column.parameters) in texts or not column.parameters
    assert not re.search(r"(href|src|url\(|<script)", draw_svg(EVERY))


def test_hostile_titles_are_escaped() -> None:
    root = ET.fromstring(draw_svg("C7k3", title=HOSTILE))
    assert not list(root.iter(f"{SVG}script"))
    assert "alert(1)" in str(next(root.iter(f"{SVG}text")).text)
    figure = plot_architecture("C7k3", title="<a href='x'>y</a>")
    assert figure.layout.annotations[0].text == "<b>&lt;a href='x'&gt;y&lt;/a&gt;</b>"


def test_plotly_draws_the_same_picture() -> None:
    figure = plot_architecture(EVERY)
    root = ET.fromstring(draw_svg(EVERY))
    assert len(figure.layout.shapes) == len(list(root.iter(f"{SVG}rect")))
    assert len(figure.layout.annotations) == len(list(root.iter(f"{SVG}text")))
    assert (figure.layout.width, figure.layout.height) == (
        int(root.attrib["width"]),
        int(root.attrib["height"]),
    )


def test_a_comparison_is_in_one_scale() -> None:
    drawn = ET.fromstring(draw_comparison_svg({"small": "C4k3", "large": "C100k7-C100k7"}))
    bars = [r for r in drawn.iter(f"{SVG}rect") if " parameters" in str(r[0].text)[-11:]]
    heights = {str(r[0].text): float(r.attrib["height"]) for r in bars}
    assert heights["112 parameters"] == 0.5
    assert max(heights, key=heights.__getitem__) == max(
        heights, key=lambda text: int(text.split()[0].replace(",", ""))
    )
    maps = [r for r in drawn.iter(f"{SVG}rect") if str(r[0].text).startswith("image")]
    assert [float(r.attrib["height"]) for r in maps] == [96.0, 96.0]
    assert float(maps[1].attrib["y"]) > float(maps[0].attrib["y"]) + 96
    titles = [str(t.text) for t in drawn.iter(f"{SVG}text") if t.attrib["font-size"] == "13"]
    assert titles == ["small", "large"]


def test_other_images_and_classes() -> None:
    root = ET.fromstring(draw_svg("C4k3-GAP", (1, 28, 20), 3))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert "4\u00d728\u00d720" in texts
    assert "3" in texts


@pytest.mark.parametrize("bad", ["", "X3", "<b>", "MP-MP-MP-MP-MP-MP"])
def test_impossible_architectures_are_refused(bad: str) -> None:
    with pytest.raises(ValueError, match=r"architecture|pools"):
        draw_svg(bad)


def test_an_empty_comparison_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a list or mapping of architectures"):
        plot_comparison([])
    with pytest.raises(ValueError, match="but got 'C7k3'"):
        plot_comparison("C7k3")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        *((0, "\u2013"), (196, "196"), (999, "999"), (1000, "1 k"), (34_320, "34.3 k")),
        *((999_499, "999 k"), (999_500, "1 M"), (138_000_000, "138 M"), (10**13, "10,000 G")),
    ],
)
def test_amounts(number: int, text: str) -> None:
    assert amount(number) == text
