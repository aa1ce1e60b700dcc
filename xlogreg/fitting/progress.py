"""What looks on while something runs: the state that callbacks see, the clock, and lines of progress."""

import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np

from xlogreg.arrays.place import Array, to_host
from xlogreg.solvers.objective import Evaluation

__all__ = ["Clock", "ProgressLine", "State", "counting"]

Item = TypeVar("Item")

SECONDS_BETWEEN = 0.1


class State:
    """A fit at one iteration, before its update. Every value is fetched from the device when it is asked for.

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
        norm: Callable[[Array], float],
    ) -> None:
        self.iteration = iteration
        self._theta, self._here, self._gap, self._parameters, self._norm = theta, here, gap, parameters, norm

    @property
    def cost(self) -> float:
        return float(to_host(self._here.value)[0])

    @property
    def gradient_norm(self) -> float:
        return self._norm(self._here.gradient)

    @property
    def gap(self) -> float:
        return math.nan if self._gap is None else float(to_host(self._gap)[0])

    @property
    def w(self) -> np.ndarray:
        return self._parameters(self._theta)[0]

    @property
    def b(self) -> np.ndarray:
        return self._parameters(self._theta)[1]


class Clock:
    """A monitor that says "time_limit" when the time is up, or would be before the end of one more step.

    A step is taken to last as long as the one before; the first of a stage is never judged so.

    Parameters
    ----------
    end : float
        When the time is up, by `time.perf_counter`.
    """

    def __init__(self, end: float) -> None:
        self.end, self.last, self.took = end, -math.inf, 0.0

    @property
    def late(self) -> bool:
        """Whether the time is up."""
        return time.perf_counter() >= self.end

    def allows(self, steps: float) -> bool:
        """Whether there is time for so many steps as long as the last."""
        return time.perf_counter() + steps * self.took < self.end

    def __call__(self, iteration: int, theta: Array, here: Evaluation, gap: Array | None) -> str:
        to_host(here.value)  # waits for the device, where steps would only be queued
        now = time.perf_counter()
        self.took = now - self.last if iteration > 0 else 0.0
        self.last = now
        return "time_limit" if now + self.took >= self.end else ""


class ProgressLine:
    """One line on standard error, redrawn at most ten times a second: tqdm's where it is installed."""

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
        """End the line, also where an error or Ctrl-C ended the fit."""
        if self.bar is None:
            sys.stderr.write("\n")
        else:
            self.bar.close()


def counting(items: Iterable[Item], total: int, title: str) -> Iterator[Item]:
    """The items, counted in one line on standard error: tqdm's where it is installed."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        yield from _counted(items, total, title)
    else:
        yield from tqdm(items, total=total, desc=title, file=sys.stderr)


def _counted(items: Iterable[Item], total: int, title: str) -> Iterator[Item]:
    shown = 0.0
    for number, item in enumerate(items, 1):
        yield item
        now = time.perf_counter()
        if number == total or now - shown >= SECONDS_BETWEEN:
            shown = now
            sys.stderr.write(f"\r{title}: {number} of {total}")
            sys.stderr.flush()
    sys.stderr.write("\n")
