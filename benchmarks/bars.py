"""What the library's benchmarks aim at: a number in their results, and the limit it has to keep.

A benchmark has its `BARS` beside its cases; it prints them when it has run, and the report lists them all.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

__all__ = ["EVERY", "Bar", "Checked", "at_least", "at_most", "check", "show"]

EVERY = None  # in a path: all that is there, of which the worst counts
Step = str | int | None | tuple[str, ...]  # a tuple: the first of these that is there


class Bar(NamedTuple):
    """Where the number is in the results, how it should compare, and the limit: a number, or a neighbour's name."""

    path: tuple[Step, ...]
    wanted: str
    limit: float | str


class Checked(NamedTuple):
    """A bar with what was measured; None where the results have no such number."""

    name: str
    wanted: str
    limit: float | None
    measured: float | None

    @property
    def met(self) -> bool | None:
        if self.measured is None or self.limit is None:
            return None
        return self.measured >= self.limit if self.wanted == ">=" else self.measured <= self.limit


def at_least(limit: float, *path: Step) -> Bar:
    return Bar(path, ">=", limit)


def at_most(limit: float | str, *path: Step) -> Bar:
    return Bar(path, "<=", limit)


def look_up(results: Any, path: tuple[Step, ...]) -> list[float]:
    """The numbers at a path; an item of a list may be named by its case or solver."""
    if not path:
        return [] if results is None else [results]
    step, rest = path[0], path[1:]
    if step is EVERY:
        items = results.values() if isinstance(results, dict) else results
        return [number for item in items for number in look_up(item, rest)]
    if isinstance(step, tuple):
        return next((found for name in step if (found := look_up(results, (name, *rest)))), [])
    if isinstance(results, list) and isinstance(step, str):
        results = {item.get("case", item.get("solver")): item for item in results}
    try:
        return look_up(results[step], rest)
    except (KeyError, IndexError):
        return []


def word_of(step: Step) -> str:
    return f"number {step + 1}" if isinstance(step, int) else str(step[0] if isinstance(step, tuple) else step)


def check(bars: Iterable[Bar], results: dict[str, Any]) -> list[Checked]:
    found = []
    for bar in bars:
        worst = min if bar.wanted == ">=" else max
        limits = look_up(results, (*bar.path[:-1], bar.limit)) if isinstance(bar.limit, str) else [bar.limit]
        numbers = look_up(results, bar.path)
        words = [word_of(step) for step in bar.path if step not in (EVERY, "cases", "rivals")]
        measured = float(worst(numbers)) if numbers else None
        found.append(Checked(", ".join(words), bar.wanted, float(limits[0]) if limits else None, measured))
    return found


def show(bars: Iterable[Bar], results: dict[str, Any]) -> None:
    """A line for each bar that was measured."""
    for line in check(bars, results):
        if line.met is not None:
            word = "met" if line.met else "NOT MET"
            print(f"{word:8} {line.name}: {line.measured:.3g}, {line.wanted} {line.limit:.3g}")
