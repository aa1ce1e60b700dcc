"""What looks on before each step of a solver: the checkpoint, the callback and the line of progress, the clock."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

from xlogreg.arrays.place import Array
from xlogreg.fitting.problem import Problem
from xlogreg.fitting.progress import ProgressLine, State
from xlogreg.solvers.coordinates import as_host
from xlogreg.solvers.objective import Evaluation
from xlogreg.solvers.result import Clock, Monitor

__all__ = ["Watch"]


class Watch(NamedTuple):
    """Who looks on."""

    monitor: Monitor | None  # of the steps on all samples
    clock: Clock | None  # looks at steps on subsets, too

    @classmethod
    def of(
        cls,
        problem: Problem,
        callback: Callable[[State], Any] | None,
        line: ProgressLine | None,
        checkpoint: Monitor | None,
        clock: Clock | None,
    ) -> "Watch":
        """All of them; the first that says so ends the fit."""
        shown = None if callback is None and line is None else _shown(problem, callback, line)
        present = [monitor for monitor in (checkpoint, shown, clock) if monitor is not None]

        def monitor(iteration: int, theta: Array, here: Evaluation, gap: Array | None) -> str:
            return next(filter(None, (each(iteration, theta, here, gap) for each in present)), "")

        return cls(monitor if present else None, clock)


def _shown(problem: Problem, callback: Callable[[State], Any] | None, line: ProgressLine | None) -> Monitor:
    count = itertools.count()  # over the stages of a solver

    def monitor(iteration: int, theta: Array, here: Evaluation, gap: Array | None) -> str:
        state = State(
            next(count),
            theta,
            here,
            gap,
            parameters=lambda theta: problem.engine.parameters_of(as_host(theta)),
            norm=problem.gradient_norm,
        )
        if line is not None:
            line.show(state)
        return "callback" if callback is not None and callback(state) else ""

    return monitor
