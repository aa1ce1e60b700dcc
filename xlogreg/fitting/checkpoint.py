"""Checkpoints: the model of an unfinished fit, written to a file from which the fit can go on."""

import contextlib
import itertools
import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xlogreg.arrays.place import Array
from xlogreg.exceptions import CheckpointWarning, warn
from xlogreg.fitting.outcome import Verdict, described, model_of
from xlogreg.fitting.problem import Problem
from xlogreg.inputs.files import expect_folder
from xlogreg.inputs.labels import Targets
from xlogreg.inputs.options import Options
from xlogreg.model.model import Model
from xlogreg.samples.intake import Origin
from xlogreg.solvers.coordinates import as_host
from xlogreg.solvers.objective import Evaluation
from xlogreg.solvers.parameters import as_stored

__all__ = ["Checkpoint", "checkpoint_path", "keeping"]

CHECKPOINT_SECONDS = 30.0  # least time between two checkpoints


def checkpoint_path(checkpoint: str | os.PathLike | None) -> Path | None:
    """Return the path to write to, checked before any work is done; None for no checkpoint.

    Raises
    ------
    TypeError, FileNotFoundError, IsADirectoryError
        If ``checkpoint`` is no path, or no file can be written there.
    """
    if checkpoint is None:
        return None
    if not isinstance(checkpoint, (str, os.PathLike)):
        raise TypeError(f"checkpoint must be the path of a file, not {checkpoint!r}")
    path = Path(os.fsdecode(checkpoint))
    expect_folder(path)
    return path


class Seen(NamedTuple):
    """State of a solver before a step."""

    steps: int
    theta: Array
    here: Evaluation
    gap: Array | None


class Checkpoint:
    """A monitor that holds the last state of the solver, and writes it to a file from time to time.

    If the file cannot be written, it warns once, and tries again the next time.

    Parameters
    ----------
    path : Path
    model_at : callable
        Makes a model of a state of the solver.
    """

    def __init__(self, path: Path, model_at: Callable[[Seen], Model]) -> None:
        self.path, self.model_at = path, model_at
        self.count = itertools.count()  # goes on over the stages of a solver
        self.seen: Seen | None = None
        self.written, self.warned = time.monotonic(), False

    def __call__(self, iteration: int, theta: Array, here: Evaluation, gap: Array | None) -> str:
        self.seen = Seen(next(self.count), theta, here, gap)
        if time.monotonic() - self.written >= CHECKPOINT_SECONDS:
            self.write_seen()
        return ""

    def write_seen(self) -> None:
        """Write the last state; nothing before the first step, or if the cost is not finite."""
        if self.seen is not None and math.isfinite(as_host(self.seen.here.value)[0]):
            seen = self.seen
            self._write(lambda: self.model_at(seen))

    def write(self, model: Model) -> None:
        """Write the model that the fit ends with."""
        self._write(lambda: model)

    def _write(self, make: Callable[[], Model]) -> None:
        try:
            make().save(self.path)
        except Exception as error:  # a full disk, a lost folder or a device that fails must not end the fit
            if not self.warned:
                warn(f"no checkpoint was written to {self.path}: {error}; the fit goes on", CheckpointWarning)
            self.warned = True
        self.written = time.monotonic()


@contextlib.contextmanager
def keeping(
    path: Path | None, origin: Origin, targets: Targets, options: Options, problem: Problem, began: float
) -> Iterator[Checkpoint | None]:
    """Yield a checkpoint of the fit, and write it once more if an exception ends the fit; None without a path."""
    if path is None:
        yield None
        return

    def model_at(seen: Seen) -> Model:
        return _model_at(seen, origin, targets, options, problem, time.perf_counter() - began)

    checkpoint = Checkpoint(path, model_at)
    try:
        yield checkpoint
    except BaseException:  # above all Ctrl-C; but after any exception the work so far is worth keeping
        checkpoint.write_seen()
        raise


def _model_at(
    seen: Seen, origin: Origin, targets: Targets, options: Options, problem: Problem, seconds: float
) -> Model:
    gap = math.nan if seen.gap is None else float(as_host(seen.gap)[0])
    known = "estimate" if seen.here.hessian is None else "decrement"
    norm = problem.gradient_norm(seen.theta, seen.here.gradient)
    outcome = described(problem, seen.here, norm, gap, known) | {
        "converged": False,
        "reason": "checkpoint",
        "iterations": seen.steps,
        "passes": math.nan,
        "rank": None,
        "condition": math.nan,
        "separation": "undecided" if problem.objective.separable else "",
    }
    w, v = problem.coordinates.centered_parameters_of(as_host(seen.theta) * problem.objective.free)
    parameters = as_stored(w, v, problem.coordinates.center, origin.dtype_home)
    verdict = Verdict(parameters, outcome, "the fit was not finished")
    return model_of(origin, targets, options, problem, np.zeros(0), verdict, seconds)
