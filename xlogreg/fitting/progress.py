"""Monitors, which may stop a solver before each step: callbacks, the progress line, checkpoints, the clock."""

import itertools
import math
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from xlogreg.arrays.place import Array, to_host
from xlogreg.fitting.problem import Problem
from xlogreg.solvers.coordinates import as_host
from xlogreg.solvers.objective import Evaluation
from xlogreg.solvers.result import Clock, Monitor

__all__ = ["ProgressLine", "State", "Watch"]

SECONDS_BETWEEN = 0.1  # least time between two states of the progress line


class State:
    """State of a fit at one iteration, before its update. Each value is fetched from the device when it is asked for.

    Attributes
    ----------
    iteration : int
    cost : float
    w, b : ndarray (n_x, k), (k, 1)
        Parameters for X as it was handed in, on the host.
    gradient_norm : float
    gap : float
        The solver's own estimate of J - min J; NaN where it has none.
    """

    def __init__(
        self,
        iteration: int,
        theta: Array,
        here: Evaluation,
        gap: Array | None,
        parameters: Callable[[Array], tuple[np.ndarray, np.ndarray]],
        norm: Callable[[Array, Array], float],
    ) -> None:
        self.iteration = iteration
        self._theta, self._here, self._gap, self._parameters, self._norm = theta, here, gap, parameters, norm

    @property
    def cost(self) -> float:
        return float(to_host(self._here.value)[0])

    @property
    def gradient_norm(self) -> float:
        return self._norm(self._theta, self._here.gradient)

    @property
    def gap(self) -> float:
        return math.nan if self._gap is None else float(to_host(self._gap)[0])

    @property
    def w(self) -> np.ndarray:
        return self._parameters(self._theta)[0]

    @property
    def b(self) -> np.ndarray:
        return self._parameters(self._theta)[1]


class ProgressLine:
    """A progress line on standard error, redrawn at most ten times a second; that of tqdm if it is installed."""

    def __init__(self, total: int) -> None:
        self.total, self.shown = total, 0.0
        try:
            from tqdm.auto import tqdm
        except ImportError:
            self.bar = None
        else:
            self.bar = tqdm(total=total, desc="fit", file=sys.stderr)

    def show(self, state: State) -> None:
        now = time.perf_counter()
        if now - self.shown < SECONDS_BETWEEN:
            return
        self.shown = now
        if self.bar is None:
            sys.stderr.write(f"\rfit: iteration {state.iteration} of at most {self.total}, cost {state.cost:.6g}")
            sys.stderr.flush()
        else:
            self.bar.set_postfix(cost=f"{state.cost:.6g}", refresh=False)
            self.bar.update(state.iteration - self.bar.n)

    def finish(self, iterations: int) -> None:
        if self.bar is not None:
            self.bar.update(iterations - self.bar.n)

    def close(self) -> None:
        """End the line, also if an error or Ctrl-C ended the fit."""
        if self.bar is None:
            sys.stderr.write("\n")
        else:
            self.bar.close()


class Watch(NamedTuple):
    """The monitors of a fit."""

    monitor: Monitor | None  # called before steps on all samples
    clock: Clock | None  # also watches the steps on subsets

    @classmethod
    def over(
        cls,
        problem: Problem,
        callback: Callable[[State], Any] | None,
        line: ProgressLine | None,
        checkpoint: Monitor | None,
        clock: Clock | None,
    ) -> "Watch":
        """Combine all monitors; the first that returns a reason ends the fit."""
        shown = None if callback is None and line is None else _shown(problem, callback, line)
        present = [monitor for monitor in (checkpoint, shown, clock) if monitor is not None]

        def monitor(iteration: int, theta: Array, here: Evaluation, gap: Array | None) -> str:
            return next(filter(None, (each(iteration, theta, here, gap) for each in present)), "")

        return cls(monitor if present else None, clock)


def _shown(problem: Problem, callback: Callable[[State], Any] | None, line: ProgressLine | None) -> Monitor:
    count = itertools.count()  # goes on over the stages of a solver

    def monitor(iteration: int, theta: Array, here: Evaluation, gap: Array | None) -> str:
        state = State(
            next(count),
            theta,
            here,
            gap,
            parameters=lambda theta: problem.coordinates.parameters_of(as_host(theta)),
            norm=problem.gradient_norm,
        )
        if line is not None:
            line.show(state)
        return "callback" if callback is not None and callback(state) else ""

    return monitor
