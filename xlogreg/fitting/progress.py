"""How far a call is: the states that callbacks see, and the progress line."""

import contextlib
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from xlogreg.arrays.place import Array, to_host
from xlogreg.solvers.coordinates import as_host
from xlogreg.solvers.objective import Evaluation

__all__ = ["Best", "ManyState", "ProgressLine", "State"]

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

    Examples
    --------
    >>> import xlogreg
    >>> X, Y = [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]], [0, 0, 1, 0, 1, 1]
    >>> model = xlogreg.fit(X, Y, l2=0.1, solver="gd", max_iter=2, callback=print)
    iteration 0: cost 0.6931, gradient norm 0.5833
    iteration 1: cost 0.6488, gradient norm 0.1306
    """

    def __init__(
        self,
        iteration: int,
        theta: Array,
        here: Evaluation,
        gap: Array | None,
        parameters: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
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
        return self._parameters(as_host(self._theta))[0]

    @property
    def b(self) -> np.ndarray:
        return self._parameters(as_host(self._theta))[1]

    def __repr__(self) -> str:
        gap = "" if math.isnan(self.gap) else f", gap {self.gap:.1g}"
        return f"iteration {self.iteration}: cost {self.cost:.4g}{gap}, gradient norm {self.gradient_norm:.4g}"


class Best(NamedTuple):
    """The best mean score of a cross-validation so far.

    Attributes
    ----------
    score : str
        "log_loss" or "accuracy".
    value : float
        Mean over the folds whose models are done.
    l1, l2 : float
        The penalty.
    """

    score: str
    value: float
    l1: float
    l2: float

    def __str__(self) -> str:
        asked = [f"{name} = {value:.4g}" for name, value in (("l1", self.l1), ("l2", self.l2)) if value]
        return f"best {self.score.replace('_', ' ')} {self.value:.4g} at {', '.join(asked) or 'l2 = 0'}"


@dataclass(frozen=True, eq=False, repr=False)
class ManyState:
    """State of a call that fits many models, before a step of some of them.

    Attributes
    ----------
    call : str
        Such as "fit_cv".
    passes : int
        How often X was read so far by the steps; one pass may serve many models.
    done : int
        Number of models whose search has ended.
    models : int
        Number of models of the call; the largest possible one where it depends on the answers.
    costs : ndarray (models,)
        The last known J of each model; NaN of those that have not begun.
    best : Best or None
        For cross-validation, the best mean score so far: its name ``score``, its ``value`` and the penalty ``l1``,
        ``l2``. None until a model is done.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> X = np.random.default_rng(0).standard_normal((3, 200))
    >>> states = []
    >>> found = xlogreg.fit_cv(X, X[0] - X[1] > 0.5, [1.0, 0.1], callback=states.append)
    >>> states[0]
    0 of 11 models, 1 pass
    >>> states[-1].done, states[-1].best.l2
    (10, 0.1)
    """

    call: str
    passes: int
    done: int
    models: int
    costs: np.ndarray
    best: Best | None

    @property
    def counted(self) -> str:
        """How many models are done, in words."""
        return f"{self.done} of {self.models} models"

    @property
    def rest(self) -> str:
        """All that is known beside `counted`, in words."""
        return f"{self.passes} pass{'' if self.passes == 1 else 'es'}" + (f", {self.best}" if self.best else "")

    def __repr__(self) -> str:
        return f"{self.counted}, {self.rest}"


class ProgressLine:
    """A progress line on standard error, redrawn at most ten times a second; that of tqdm if it is installed.

    If there is no standard error, or if nobody reads it any more, nothing is shown, and the call goes on.
    """

    def __init__(self, name: str) -> None:
        self.name, self.shown, self.width, self.stream = name, -math.inf, 0, sys.stderr
        self.tqdm: Any = None
        self.bar: Any = None
        with contextlib.suppress(ImportError):
            from tqdm.auto import tqdm  # an extra

            self.tqdm = tqdm

    @property
    def is_due(self) -> bool:
        """Whether it is time to show a new state."""
        return time.perf_counter() - self.shown >= SECONDS_BETWEEN

    def show(self, count: int, total: int, counted: str, rest: str, last: bool = False) -> None:
        """Show ``count`` of ``total``, which tqdm draws and ``counted`` says in words, and the rest."""
        self.shown = time.perf_counter()
        if self.stream is None or getattr(self.stream, "closed", False):
            return
        with contextlib.suppress(OSError):
            if self.tqdm is None:
                self._write(f"{self.name}: {counted}, {rest}", last)
            else:
                self._draw(count, total, rest)

    def _write(self, text: str, last: bool) -> None:
        text = text if last else text[: _columns(self.stream) - 1]  # no return leads back from the next line
        self.stream.write("\r" + text.ljust(self.width))
        self.stream.flush()
        self.width = len(text)

    def _draw(self, count: int, total: int, rest: str) -> None:
        if self.bar is None:
            self.bar = self.tqdm(total=total, desc=self.name, file=self.stream)
        if total != self.bar.total:
            began = self.bar.start_t
            self.bar.reset(total)
            self.bar.start_t = began
        self.bar.set_postfix_str(rest, refresh=False)
        self.bar.n = count
        self.bar.refresh()

    def close(self) -> None:
        """End the line, also if an error or Ctrl-C ended the call."""
        with contextlib.suppress(OSError, ValueError):  # of a stream that was closed meanwhile
            if self.bar is not None:
                self.bar.close()
            elif self.width:
                self.stream.write("\n")


def _columns(stream: Any) -> int:
    """Number of columns of the terminal that a stream writes to; if it writes elsewhere, more than any line has."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return os.get_terminal_size(stream.fileno()).columns or sys.maxsize
    return sys.maxsize
