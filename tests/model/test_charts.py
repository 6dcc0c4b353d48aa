import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.charts import Axis, Line, bars, intervals, lines
from model.intervals import Interval

SVG = "{http://www.w3.org/2000/svg}"
anything = st.floats() | st.sampled_from([0.0, -0.0, 1e308, -1e308, 5e-324, math.inf, -math.inf, math.nan])
texts = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), max_size=40
)
axes = st.builds(Axis.over, texts, st.lists(anything, max_size=5), st.booleans(), st.booleans())
points = st.lists(st.tuples(anything, anything), max_size=6)
some_lines = st.lists(
    st.builds(
        Line, texts, points, st.booleans(), st.booleans(),
        st.lists(st.tuples(anything, anything, anything), max_size=3), st.booleans(),
    ),
    max_size=5,
)  # fmt: skip


def coordinates(svg: str) -> list[tuple[float, float]]:
    """Every point that the chart draws or writes at."""
    root = ET.fromstring(svg)
    found = []
    for element in root.iter():
        at = element.attrib
        if element.tag == f"{SVG}polyline":
            found += [(float(x), float(y)) for x, y in (pair.split(",") for pair in at["points"].split())]
        for x, y in (("x", "y"), ("x1", "y1"), ("x2", "y2"), ("cx", "cy")):
            if x in at:
                found.append((float(at[x]), float(at[y])))
        if element.tag == f"{SVG}rect":
            found.append((float(at["x"]) + float(at["width"]), float(at["y"]) + float(at["height"])))
            assert float(at["width"]) >= 0
            assert float(at["height"]) >= 0
    return found


def assert_drawable(svg: str, title: str) -> None:
    root = ET.fromstring(svg)
    left, top, width, height = map(float, root.attrib["viewBox"].split())
    assert coordinates(svg)
    for x, y in coordinates(svg):
        assert left <= x <= width
        assert top <= y <= height
    assert root[0].tag == f"{SVG}title"
    assert (root[0].text or "") == title
    assert "nan" not in re.sub(r"<title>.*?</title>|<text[^>]*>.*?</text>", "", svg)


@given(texts, axes, axes, some_lines, st.lists(anything, max_size=4))
def test_lines_stay_finite_and_within_the_view_box(
    title: str, x: Axis, y: Axis, drawn: list[Line], rug: list[float]
) -> None:
    assert_drawable(lines(title, x, y, drawn, rug), title)


@given(texts, axes, st.lists(texts, max_size=8), st.integers(1, 4), st.data())
def test_bars_stay_finite_and_within_the_view_box(
    title: str, y: Axis, names: list[str], many: int, data: st.DataObject
) -> None:
    values = st.lists(anything, min_size=len(names), max_size=len(names))
    assert_drawable(bars(title, "", y, names, [(f"{n}", data.draw(values)) for n in range(many)]), title)


@given(
    texts,
    axes,
    st.lists(st.tuples(texts, st.builds(Interval, anything, anything, anything)), max_size=9),
    st.lists(anything, max_size=3),
)
def test_intervals_stay_finite_and_within_the_view_box(
    title: str, x: Axis, rows: list[tuple[str, Interval]], references: list[float]
) -> None:
    assert_drawable(intervals(title, x, rows, references), title)


@given(st.lists(anything, max_size=5), st.booleans())
def test_an_axis_holds_what_it_was_made_for_and_has_ticks_within(values: list[float], zero: bool) -> None:
    axis = Axis.over("", values, zero=zero)
    assert axis.low < axis.high
    for value in values:
        if abs(value) < 1e300:
            assert axis.low <= value <= axis.high
    slack = (axis.high - axis.low) * 1e-6
    assert all(axis.low - slack <= value <= axis.high + slack for value, _ in axis.ticks())


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (0, 45_000, ["0", "10,000", "20,000", "30,000", "40,000"]),
        (-3, 7, ["-2", "0", "2", "4", "6"]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, expected: list[str]) -> None:
    assert [text for _, text in Axis("", low, high).ticks()] == expected


def test_a_line_goes_where_its_values_are() -> None:
    svg = lines("", Axis("", 0, 10), Axis("", 0, 1), [Line("", [(0, 0), (5, 1), (10, 0.5)])])
    [polyline] = ET.fromstring(svg).iter(f"{SVG}polyline")
    (x0, y0), (x1, y1), (x2, y2) = [tuple(map(float, pair.split(","))) for pair in polyline.attrib["points"].split()]
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.11)
    assert y1 < y2 < y0
    assert (y0 + y1) / 2 == pytest.approx(y2, abs=0.11)


@pytest.mark.parametrize(
    "draw",
    [
        lambda text: lines(text, Axis(text, 0, 1), Axis(text, 0, 1), [Line(text, [(0, 1)])]),
        lambda text: bars(text, text, Axis(text, 0, 1), [text], [(text, [1.0]), (text, [0.5])]),
        lambda text: intervals(text, Axis(text, 0, 1), [(text, Interval(0.5, 0.4, 0.6))]),
    ],
)
def test_text_is_escaped(draw: Callable[[str], str]) -> None:
    svg = draw("<script>&\"'")
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg or "&lt;sc" in svg
    ET.fromstring(svg)


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\ud800", "\ufffe"])
def test_what_no_xml_may_hold_is_replaced(character: str) -> None:
    svg = bars(f"a{character}b", "", Axis("", 0, 1), [character], [("", [0.5])])
    assert ET.fromstring(svg)[0].text == "a\N{REPLACEMENT CHARACTER}b"


def test_a_chart_that_stands_alone_has_a_size_a_ground_and_a_font() -> None:
    root = ET.fromstring(lines("", Axis("", 0, 1), Axis("", 0, 1), []))
    assert root.attrib["viewBox"] == f"0 0 {root.attrib['width']} {root.attrib['height']}"
    assert float(root.attrib["font-size"]) < 16  # a browser's own, in which the labels run into each other
    ground = root[1]
    assert ground.tag == f"{SVG}rect"
    assert (ground.attrib["width"], ground.attrib["height"]) == (root.attrib["width"], root.attrib["height"])
