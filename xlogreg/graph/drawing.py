"""Pictures of a computation graph: text for a terminal, SVG for a notebook, without a library.

The SVG is laid out as the notes' figure 1: inputs at the left, the output at the right, each box in the column of its
depth; over it its value, of the forward pass, below it its derivative, of the backward pass. Within the columns boxes
are moved towards the mean height of those they are joined to, from left to right and back again (the barycentre method
of Sugiyama, Tagawa & Toda, 1981); a line that passes a column takes up room in it, so that it crosses no box.
"""

import html
import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from xlogreg.arrays.place import to_host

__all__ = ["Box", "as_svg", "as_text", "text_of"]

FEW = 3  # numbers of an array that are written out
LONGEST = 40  # characters of a line of text
HEIGHT, BETWEEN = 34, 60  # of a box, and between columns, in pixels
ROW, LANE = 96, 26  # heights that a box, with its numbers, and a passing line take up
CHARACTER = 8  # width of one
SWEEPS = 12
FORWARD, BACKWARD = "#1f4e9e", "#b3261e"


class Box(NamedTuple):
    """One node of a graph, in words."""

    name: str
    expression: str  # in the names of other boxes; "" for what is given
    value: str
    derivative: str  # "" where there is none
    inputs: tuple[int, ...]  # which boxes, all of them before this one


def text_of(value: Any) -> str:
    """A number, a tiny array by value, others by shape."""
    if math.prod(getattr(value, "shape", ())) > FEW or 0 in getattr(value, "shape", ()):
        return f"array{tuple(value.shape)}"
    values = value if type(value) is float else to_host(value).tolist()
    return _nested(values, 3 if isinstance(values, list) else 6)


def _nested(values: Any, digits: int) -> str:
    if isinstance(values, list):
        return f"[{', '.join(_nested(value, digits) for value in values)}]"
    return f"{values + 0.0:.{digits}g}"  # 0, not -0


def as_text(boxes: Sequence[Box], left_out: int) -> str:
    """A table: names, expressions and values downwards, in the order of the forward pass, derivatives upwards."""
    rows = [(f"{box.name} = {box.expression}".removesuffix(" = "), box.value, _derivative(box)) for box in boxes]
    backward = "backward, upwards" if any(box.derivative for box in boxes) else ""
    rows = [("forward, downwards", "value", backward), *rows]
    widths = [max(len(_short(cell)) for cell in column) for column in zip(*rows, strict=True)]
    lines = ["  ".join(_short(cell).ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    if left_out:
        lines.insert(1, _left_out(left_out))
    return "\n".join(line.rstrip() for line in lines)


def as_svg(boxes: Sequence[Box], left_out: int) -> str:
    """A drawing, on white."""
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
    width = max(left[-1] + widths[-1] + BETWEEN / 2, 48 * CHARACTER)  # the longest line of words around the boxes
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
    """Where lines meet: a box, or the place where the lines from one pass a column."""

    column: int
    box: int
    passing: bool


def _joints(boxes: Sequence[Box]) -> tuple[list[Joint], list[tuple[Joint, Joint]]]:
    """The joints, boxes first, in their order, and the lines between those of neighbouring columns."""
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
    """The height of the middle of each joint."""
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
    """As near to the heights wanted as the room that each joint takes allows: in their order, right on average."""
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
