"""Pictures of computation graphs: what they say, and that nothing in them covers anything else."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from xlogreg.graph import Variable, exp, log, maximum, sigmoid
from xlogreg.graph.drawing import Box, as_text, text_of

SVG = "{http://www.w3.org/2000/svg}"


def section_1_8():
    """J = 3(a + bc), with the names of the notes."""
    a, b, c = Variable(5.0, "a"), Variable(3.0, "b"), Variable(2.0, "c")
    u = (b * c).named("u")
    return (3 * (a + u).named("v")).named("J")


def section_1_9():
    """The loss of one sample of two features."""
    x1, x2, w1, w2, b = (Variable(0.5 + i, name) for i, name in enumerate(("x1", "x2", "w1", "w2", "b")))
    a = sigmoid((w1 * x1 + w2 * x2 + b).named("z")).named("a")
    return (-(1.0 * log(a) + (1 - 1.0) * log(1 - a))).named("L")


def twelve():
    """Lines that pass several columns."""
    p, q, r = Variable(1.0, "p"), Variable(2.0, "q"), Variable(0.5, "r")
    s = (p * q).named("s")
    return sigmoid(maximum(exp(r - s), q) / (p + r**2) * s) + log(q) * p


def comb():
    """One input that is used at every depth."""
    w = Variable(0.5, "w")
    y = w * 1.0
    for _ in range(30):
        y = y * w + 1.0
    return y


GRAPHS = {
    "1.8": section_1_8,
    "1.9": section_1_9,
    "twelve": twelve,
    "comb": comb,
    "one variable": lambda: Variable(1.0, "a"),
    "no backward pass": lambda: Variable(np.ones((2, 2)), "W").T,
}


def texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_the_table_is_the_forward_and_the_backward_pass():
    assert str(section_1_8()).splitlines() == [
        "forward, downwards  value  backward, upwards",
        "a                   5      da = 3",
        "b                   3      db = 6",
        "c                   2      dc = 9",
        "u = b * c           6      du = 3",
        "v = a + u           11     dv = 3",
        "J = 3 * v           33     dJ = 1",
    ]


def test_steps_without_a_name_are_numbered_and_constants_written_out():
    w = Variable(np.asarray([[1.0], [2.0]]), "w")
    J = (w.T @ np.ones((2, 5)) - (Variable(1.0) + 1)).sum() * -0.5
    assert [line.split("  ")[0] for line in str(J).splitlines()[1:]] == [
        "w",
        "#2 = w.T",
        "#3 = #2 @ array(2, 5)",
        "#4 = #3 - 2",
        "#5 = sum(#4)",
        "#6 = #5 * -0.5",
    ]
    assert str(w.sum(axis=0, keepdims=True)).splitlines()[2].startswith("#2 = sum(w, axis=0, keepdims=True)  [[3]]")
    assert str(Variable(2.0)).splitlines()[1].split() == ["#1", "2", "d#1", "=", "1"]


def test_without_a_single_output_there_is_no_backward_pass():
    y = Variable(np.ones((2, 2)), "W") * 2.0
    assert str(y).splitlines()[0] == "forward, downwards  value"
    assert "dW" not in str(y)
    assert "backward: derivatives" not in texts(y._repr_svg_())


def test_values_are_written_out_where_they_are_few():
    assert text_of(33.0) == "33"
    assert text_of(-0.0) == "0"
    assert text_of(1 / 3) == "0.333333"
    assert text_of(np.float32(1 / 3)) == "0.333333"
    assert text_of(np.asarray([[1.0, -0.5]])) == "[[1, -0.5]]"
    assert text_of(np.zeros((2, 2))) == "array(2, 2)"
    assert text_of(np.zeros((0, 1))) == "array(0, 1)"
    assert text_of(np.asarray([np.nan, np.inf])) == "[nan, inf]"


def test_two_variables_of_one_name_can_be_printed():
    assert str(Variable(2.0, "a") * Variable(3.0, "a")).count("da =") == 2


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_drawing_has_every_number_and_nothing_outside(graph):
    output = GRAPHS[graph]()
    svg = ElementTree.fromstring(output._repr_svg_())
    _, top, width, height = map(float, svg.get("viewBox").split())
    assert (svg[0].tag, svg[0].get("fill"), svg[0].get("width")) == (f"{SVG}rect", "white", "100%")
    said = set(texts(output._repr_svg_()))
    for line in str(output).splitlines()[1:]:
        assert set(re.split(r" {2,}", line)) <= said
    for element in svg.iter(f"{SVG}text"):
        left = float(element.get("x")) - (4 * len(element.text) if element.get("text-anchor") == "middle" else 0)
        assert 0 <= left <= left + 8 * len(element.text) <= width
        assert top < float(element.get("y")) < top + height


def boxes_and_lines(svg):
    """Boxes (left, top, right, bottom) with the numbers over and under them; points that the lines go through."""
    root = ElementTree.fromstring(svg)
    boxes = []
    for element in list(root.iter(f"{SVG}rect"))[1:]:
        x, y, width, height = (float(element.get(name)) for name in ("x", "y", "width", "height"))
        boxes.append((x, y - 18, x + width, y + height + 18))
    points = []
    for path in root.iter(f"{SVG}path"):
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", path.get("d"))]
        (x0, y0), (x1, y1) = numbers[:2], numbers[6:8]
        for t in np.linspace(0.0, 1.0, 21):  # a Bezier curve whose inner points lie half way, and the line after it
            points.append((x0 + (x1 - x0) * t * (1.5 - 1.5 * t + t * t), y0 + (y1 - y0) * t * t * (3 - 2 * t)))
        points += [(x, y1) for x in np.linspace(x1, numbers[8] if len(numbers) > 8 else x1, 9)]
    return boxes, points


@pytest.mark.parametrize("graph", GRAPHS)
def test_boxes_do_not_overlap_and_no_line_crosses_one(graph):
    boxes, points = boxes_and_lines(GRAPHS[graph]()._repr_svg_())
    for i, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[:i]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
        assert not [(x, y) for x, y in points if left < x < right and top < y < bottom]


def test_the_drawing_of_section_1_8_is_laid_out_as_figure_1():
    root = ElementTree.fromstring(section_1_8()._repr_svg_())
    labels = ["a", "b", "c", "u = b * c", "v = a + u", "J = 3 * v"]
    at = {e.text: (float(e.get("x")), float(e.get("y"))) for e in root.iter(f"{SVG}text") if e.text in labels}
    x, y = ({label: at[label][i] for label in labels} for i in (0, 1))
    assert x["a"] == x["b"] == x["c"] < x["u = b * c"] < x["v = a + u"] < x["J = 3 * v"]
    assert y["a"] < y["b"] < y["c"]
    assert y["b"] < y["u = b * c"] < y["c"] or y["u = b * c"] == pytest.approx((y["b"] + y["c"]) / 2, abs=40)


def test_names_are_escaped_and_long_ones_cut():
    J = Variable(1.0, "<&\"'>") * Variable(2.0, "x" * 100)
    assert "<&\"'>" in texts(J._repr_svg_())
    assert max(map(len, texts(J._repr_svg_()))) == 40
    assert max(map(len, re.split(r" {2,}|\n", str(J)))) == 40


def test_a_large_graph_says_how_much_is_left_out():
    output = comb()
    for _ in range(200):
        output = output + 1.0
    assert len(str(output).splitlines()) == 1 + 1 + 200
    assert "(62 nodes before these left out)" in texts(output._repr_svg_())
    assert "#63 = ... + 1" in texts(output._repr_svg_())
    assert "nodes before" not in section_1_8()._repr_svg_()


def test_one_node_left_out_is_one_node():
    assert as_text([Box("a", "", "1", "", ())], 1).splitlines()[1] == "(1 node before these left out)"
