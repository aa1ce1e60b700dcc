"""What looks on before each step of a solver: the checkpoint, the callback and the line of progress, the clock."""

import itertools
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from xlogreg.backends import Array, to_host
from xlogreg.coordinates import as_host
from xlogreg.objective import Evaluation
from xlogreg.problem import Problem
from xlogreg.progress import ProgressLine, State
from xlogreg.solvers.result import Monitor

__all__ = ["Clock", "Watch"]


class Clock:
    """A monitor that says "time_limit" when the time is up, or would be before the end of one more step.

    A step is taken to last as long as the one before; the first of a stage is never judged so.

    Parameters
    ----------
    end : float
        When the time is up, by `time.perf_counter`.
    """

    def __init__(self, end: float) -> None:
        self.end, self.last = end, math.inf

    @property
    def late(self) -> bool:
        """Whether the time is up."""
        return time.perf_counter() >= self.end

    def __call__(self, iteration: int, theta: Array, here: Evaluation, gap: Array | None) -> str:
        to_host(here.value)  # waits for the device, where steps would only be queued
        now = time.perf_counter()
        took = now - self.last if iteration > 0 else 0.0
        self.last = now
        return "time_limit" if now + took >= self.end else ""


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
