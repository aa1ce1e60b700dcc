"""Pictures of a computation graph: text for a terminal, SVG for a notebook, without a library.

The SVG is laid out as the notes' figure 1: inputs at the left, the output at the right, each box in the column of its
depth. The value of the forward pass stands above a box, the derivative of the backward pass below it. Within a column,
boxes are moved towards the mean height of the boxes that they are joined to, from left to right and back again (the
barycentre method of Sugiyama, Tagawa & Toda, 1981). A line that passes a column takes up room in it, so it crosses no
box.
"""

import html
import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from xlogreg.arrays.place import to_host

__all__ = ["Box", "as_svg", "as_text", "text_of"]

FEW = 3  # most numbers of an array that are written out
LONGEST = 40  # characters; longer text is cut
HEIGHT = 34  # pixels of a box
BETWEEN = 60  # pixels between columns of boxes
ROW = 96  # pixels that a box takes up with its numbers
LANE = 26  # pixels that a line takes up that passes a box
CHARACTER = 8  # pixels, the width of one character
SWEEPS = 12  # sweeps of the barycentre method; every other one goes from right to left
FORWARD = "#1f4e9e"  # colour of the values: blue
BACKWARD = "#b3261e"  # colour of the derivatives: red


class Box(NamedTuple):
    """One node of a graph, as text."""

    name: str
    expression: str  # in terms of the names of other boxes; "" for an input
    value: str
    derivative: str  # "" if there is none
    inputs: tuple[int, ...]  # the numbers of the boxes that it is computed from, all of them before this one


def text_of(value: Any) -> str:
    """Write a number or a tiny array as its value, and any other array as its shape."""
    if math.prod(getattr(value, "shape", ())) > FEW or 0 in getattr(value, "shape", ()):
        return f"array{tuple(value.shape)}"
    values = value if type(value) is float else to_host(value).tolist()
    return _nested(values, 3 if isinstance(values, list) else 6)


def _nested(values: Any, digits: int) -> str:
    if isinstance(values, list):
        return f"[{', '.join(_nested(value, digits) for value in values)}]"
    return f"{values + 0.0:.{digits}g}"  # adding 0.0 turns -0 into 0


def as_text(boxes: Sequence[Box], left_out: int) -> str:
    """Draw a table: downwards the names, expressions and values of the forward pass, upwards the derivatives."""
    rows = [(f"{box.name} = {box.expression}".removesuffix(" = "), box.value, _derivative(box)) for box in boxes]
    backward = "backward, upwards" if any(box.derivative for box in boxes) else ""
    rows = [("forward, downwards", "value", backward), *rows]
    widths = [max(len(_short(cell)) for cell in column) for column in zip(*rows, strict=True)]
    lines = ["  ".join(_short(cell).ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    if left_out:
        lines.insert(1, _left_out(left_out))
    return "\n".join(line.rstrip() for line in lines)


def as_svg(boxes: Sequence[Box], left_out: int) -> str:
    """Draw a graph as SVG, on a white background."""
    joints, lines = _joints(boxes)
    y = _heights(joints, lines)
    widths = [0.0] * (1 + max(joint.column for joint in joints))
    labels = [_short(f"{box.name} = {box.expression}" if box.expression else box.name) for box in boxes]
    for joint in joints[: len(boxes)]:
        box = boxes[joint.box]
        longest = max(map(len, (labels[joint.box], _short(box.value), _short(_derivative(box)))))
        widths[joint.column] = max(widths[joint.column], CHARACTER * longest + 24)
    left = [BETWEEN / 2 + sum(widths[:column]) + BETWEEN * column for column in range(len(widths))]
    top = min(y.values()) - ROW / 2 - (28 if left_out else 0)
    width = max(left[-1] + widths[-1] + BETWEEN / 2, 48 * CHARACTER)  # room for the longest text around the boxes
    height = max(y.values()) + ROW / 2 + 28 - top
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 {top:.1f} {width:.1f} {height:.1f}" font-family="monospace" font-size="13">',
        f'<rect x="0" y="{top:.1f}" width="100%" height="100%" fill="white"/>',
    ]
    for start, end in lines:
        x0, x1 = left[start.column] + widths[start.column], left[end.column]
        middle, along = (x0 + x1) / 2, f" H {x1 + widths[end.column]:.1f}" if end.passing else ""
        curve = (
            f"M {x0:.1f} {y[start]:.1f} C {middle:.1f} {y[start]:.1f} {middle:.1f} {y[end]:.1f} {x1:.1f} {y[end]:.1f}"
        )
        parts.append(f'<path d="{curve}{along}" fill="none" stroke="#888888" stroke-width="1.5"/>')
    for joint in joints[: len(boxes)]:
        box, x, middle = boxes[joint.box], left[joint.column], left[joint.column] + widths[joint.column] / 2
        parts.append(
            f'<rect x="{x:.1f}" y="{y[joint] - HEIGHT / 2:.1f}" width="{widths[joint.column]:.1f}" height="{HEIGHT}" '
            f'rx="6" fill="{"#eef2f8" if box.expression else "#fff6dd"}" stroke="#333333"/>'
        )
        for text, below, colour in (
            (labels[joint.box], 4.5, "#111111"),
            (_short(box.value), -HEIGHT / 2 - 7, FORWARD),
            (_short(_derivative(box)), HEIGHT / 2 + 16, BACKWARD),
        ):
            if text:
                parts.append(_words(text, middle, y[joint] + below, colour, "middle"))
    parts.append(_words("forward: values", BETWEEN / 2, top + height - 12, FORWARD))
    if any(box.derivative for box in boxes):
        parts.append(_words("backward: derivatives", BETWEEN / 2 + 17 * CHARACTER, top + height - 12, BACKWARD))
    if left_out:
        parts.append(_words(_left_out(left_out), BETWEEN / 2, top + 20, "#111111"))
    return "\n".join([*parts, "</svg>"])


class Joint(NamedTuple):
    """A point where lines meet: a box, or the place where the lines from one box pass a column."""

    column: int
    box: int
    passing: bool


def _joints(boxes: Sequence[Box]) -> tuple[list[Joint], list[tuple[Joint, Joint]]]:
    """Find the joints (boxes first, in their order), and the lines between joints of neighbouring columns."""
    joints: list[Joint] = []
    for number, box in enumerate(boxes):
        joints.append(Joint(1 + max((joints[i].column for i in box.inputs), default=-1), number, False))
    lines: dict[tuple[Joint, Joint], None] = {}
    for number, box in enumerate(boxes):
        for i in box.inputs:
            between = [Joint(column, i, True) for column in range(joints[i].column + 1, joints[number].column)]
            lines |= dict.fromkeys(itertools.pairwise([joints[i], *between, joints[number]]))
    passing = dict.fromkeys(joint for line in lines for joint in line if joint.passing)
    return [*joints, *passing], list(lines)


def _heights(joints: Sequence[Joint], lines: Sequence[tuple[Joint, Joint]]) -> dict[Joint, float]:
    """Find the height of the middle of each joint, in pixels."""
    columns: dict[int, list[Joint]] = {}
    for joint in joints:
        columns.setdefault(joint.column, []).append(joint)
    y = dict.fromkeys(joints, 0.0)
    for joint in columns[0]:
        y[joint] = ROW * joint.box
    joined: tuple[dict[Joint, list[Joint]], ...] = {}, {}
    for start, end in lines:
        joined[0].setdefault(end, []).append(start)
        joined[1].setdefault(start, []).append(end)
    for sweep in range(SWEEPS):
        for column in sorted(columns, reverse=sweep % 2 == 1):
            neighbours = joined[sweep % 2]
            wanted = {
                joint: sum(y[other] for other in neighbours.get(joint, [joint])) / len(neighbours.get(joint, [joint]))
                for joint in columns[column]
            }
            y |= _spaced(wanted, y)
    return y


def _spaced(wanted: dict[Joint, float], now: dict[Joint, float]) -> dict[Joint, float]:
    """Place joints as near to the wanted heights as their room allows, in the wanted order and with the wanted mean."""
    order, placed, bottom = sorted(wanted, key=lambda joint: (round(wanted[joint], 3), now[joint])), {}, -math.inf
    for joint in order:
        room = LANE if joint.passing else ROW
        placed[joint] = max(wanted[joint], bottom + room / 2)
        bottom = placed[joint] + room / 2
    shift = sum(wanted[joint] - placed[joint] for joint in order) / len(order)
    return {joint: height + shift for joint, height in placed.items()}


def _words(text: str, x: float, y: float, colour: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _derivative(box: Box) -> str:
    return f"d{box.name} = {box.derivative}" if box.derivative else ""


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def _left_out(count: int) -> str:
    return f"({count} node{'s' if count > 1 else ''} before these left out)"
