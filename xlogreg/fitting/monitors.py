"""What a call tells while it runs, and what may stop it: its progress line, the callback, the clock, the log."""

import collections
import dataclasses
import functools
import itertools
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from xlogreg.arrays.place import Array
from xlogreg.exceptions import ConvergenceWarning, warn
from xlogreg.fitting.problem import Problem
from xlogreg.fitting.progress import Best, ManyState, ProgressLine, State
from xlogreg.inputs.options import Options
from xlogreg.model.model import Model
from xlogreg.model.reports import FitInfo
from xlogreg.samples.intake import Arrival
from xlogreg.solvers.coordinates import as_host, gradient_norm
from xlogreg.solvers.objective import Evaluation
from xlogreg.solvers.result import Clock, Monitor, Result

__all__ = ["STOPPED", "Course", "Following", "Together", "Watch", "begin", "watch_over"]

STOPPED = ("callback", "time_limit")  # reasons of models that were stopped: no further fit of theirs begins
LOGGER = logging.getLogger("xlogreg")
LOGGER.addHandler(logging.NullHandler())


class Course:
    """The course of one call of a public fit, from its first model to its last.

    The options of all models of the call hold it. It counts, shows, calls back, and remembers what stopped the call.

    Attributes
    ----------
    stopped : str
        "time_limit" or "callback" if one of these has stopped the call, or "".
    scorer : callable or None
        Gives the score of models on the samples that they leave out, by their numbers in the plan that is solved.
    """

    def __init__(self, call: str, options: Options, began: float, remark: str) -> None:
        self.call, self.remark, self.many = call, remark, call != "fit"
        self.callback, self.time_limit = options.callback, options.time_limit
        self.end = None if options.time_limit is None else began + options.time_limit
        self.most = options.steps
        self.line = ProgressLine(call) if options.verbose else None
        self.logs_steps = LOGGER.isEnabledFor(logging.DEBUG)
        self.looks = self.callback is not None or self.line is not None or self.logs_steps
        self.stopped = ""
        self._reset(1, "")

    def begin(self, models: int, score: str = "") -> None:
        """Begin to fit so many models, or begin anew; ``score`` is that of a cross-validation."""
        self._reset(models, score)
        if self.line is not None:
            total, counted = (models, self.state.counted) if self.many else (self.most, "iteration 0")
            self.line.show(0, total, counted, "preparing")

    def _reset(self, models: int, score: str) -> None:
        self.models, self.score, self.steps, self.passes = models, score, itertools.count(), 0
        self.before = 0  # models of earlier plans
        self.number: int | None = None  # of the model of this plan that is fitted alone, if one is
        self.ended: set[int] = set()
        self.costs = np.full(models, math.nan)
        self.scores: dict[tuple[float, float], dict[int, float]] = {}  # by penalty and model
        self.scorer: Callable[[list[int], list[np.ndarray]], np.ndarray] | None = None
        self.reasons: collections.Counter[str] = collections.Counter()
        self.last: FitInfo | None = None
        self.gap, self.unbegun = 0.0, 0

    def expect(self, models: int) -> None:
        """Expect so many models after those of the plans before."""
        self.models = self.before + models
        self.costs = np.append(self.costs, np.full(max(self.models - len(self.costs), 0), math.nan))[: self.models]

    def leave(self, models: int) -> None:
        """Leave a plan of so many models behind."""
        if not self.stopped:
            self.ended.update(range(self.before, self.before + models))
        self.before, self.number, self.scorer = self.before + models, None, None

    @property
    def state(self) -> ManyState:
        return ManyState(
            self.call, self.passes, min(len(self.ended), self.models), self.models, self.costs.copy(), self.best
        )

    @property
    def best(self) -> Best | None:
        """The best score of the penalties that are scored on the most folds."""
        if not self.scores:
            return None
        most = max(map(len, self.scores.values()))
        scored = {asked: list(found.values()) for asked, found in self.scores.items() if len(found) == most}
        means = {asked: float(np.mean(found)) for asked, found in scored.items()}
        l1, l2 = (min if self.score == "log_loss" else max)(means, key=means.__getitem__)
        return Best(self.score, means[l1, l2], l1, l2)

    def show(self) -> None:
        """Show how far the call is, if that is due."""
        if self.line is not None and self.line.is_due:
            state = self.state
            self.line.show(state.done, state.models, state.counted, state.rest)

    def sees(self, costs: dict[int, float]) -> str:
        """Take note of a pass of models of this plan, given by number, with their costs; return why to stop, or ""."""
        self.passes += 1
        if not self.looks:
            return ""
        for model, cost in costs.items():
            self.costs[self.before + model : self.before + model + 1] = cost  # nothing beyond the end
        self.show()
        if self.logs_steps:
            LOGGER.debug("%s: %r", self.call, self.state)
        return "callback" if self.callback is not None and self.callback(self.state) else ""

    def finds(self, problem: Problem, found: dict[int, Result], penalties: Sequence[Options]) -> None:
        """Take note of models of this plan whose search has ended."""
        self.ended.update(self.before + model for model in found)
        if self.scorer is None or not (self.looks and found):
            return
        plain = [problem.coordinates.parameters_of(as_host(result.theta)) for result in found.values()]
        scores = self.scorer(list(found), [np.concatenate([w, b.T]) for w, b in plain])
        for model, score in zip(found, scores.tolist(), strict=True):
            if math.isfinite(score):
                own = self.scores.setdefault((penalties[model].l1, penalties[model].l2), {})
                own[self.before + model] = score  # a model that goes on alone ends twice

    def judged(self, info: FitInfo) -> None:
        """Take note of a model that is made."""
        self.counts(info.reason, unbegun=math.isnan(info.cost) and info.reason == self.stopped)
        self.last, self.gap = info, max(self.gap, info.gap)
        if self.many:
            self.show()

    def passes_over(self, models: Sequence[Model]) -> None:
        """Take note of models that took no fit."""
        for model in models:
            self.judged(model.fit_info)
        self.leave(len(models))

    def counts(self, reason: str, models: int = 1, unbegun: bool = False) -> None:
        """Count models by the reason why they ended."""
        self.reasons[reason] += models
        self.unbegun += models * unbegun

    def finish(self, seconds: float) -> None:
        """Say how the call ended, on the line and in the log."""
        info, total = self.last, sum(self.reasons.values())
        said = ", ".join(f"{count} {reason}" for reason, count in self.reasons.most_common())
        if self.line is not None and self.many:
            done = total - sum(map(self.reasons.__getitem__, STOPPED))
            self.line.show(done, total, f"{done} of {total} models", f"{self.state.rest}, {said}", last=True)
        elif self.line is not None and info is not None:
            count = f"{info.iterations} iterations"
            said = f"{info.reason}, cost {info.cost:.6g}"
            self.line.show(info.iterations, info.iterations, count, said, last=True)
        if self.many:
            LOGGER.info(
                "%s ended: %s, %d passes, %.3g seconds, largest gap %.1g",
                *(self.call, said, self.passes, seconds, self.gap),
            )
        elif info is not None:
            LOGGER.info(
                "fit ended: %s by %s, %d iterations, %g passes, %.3g seconds, gap %.1g",
                *(info.reason, info.solver, info.iterations, info.passes, seconds, info.gap),
            )

    def close(self) -> None:
        """End the line, also if an error or Ctrl-C ended the call."""
        if self.line is not None:
            self.line.close()

    def complain(self) -> None:
        """Warn once of the models that the time limit left unfinished; of a single fit its verdict does that."""
        ended = self.reasons["time_limit"]
        if self.many and ended:
            unbegun = f" {self.unbegun} of them never began, and have parameters of NaN." if self.unbegun else ""
            warn(
                f"{self.call}: time_limit={self.time_limit:g} seconds ended {ended} of {sum(self.reasons.values())} "
                f"models before they converged.{unbegun}{self.remark} Allow more time",
                ConvergenceWarning,
            )


class Following:
    """A context that follows a call: it enters with the options of its models, as the call is to use them.

    These hold the course of the call if anybody wants to see it or limits its time; the line ends with the context.

    Parameters
    ----------
    call : str
        The name of the public function.
    arrival : Arrival
    options : list of Options
        Those of the models.
    began : float
        When the call began, by `time.perf_counter`.
    remark : str
        What a warning says of models that are unfinished when the time is up.
    """

    def __init__(self, call: str, arrival: Arrival, options: list[Options], began: float, remark: str = "") -> None:
        asked, logs = options[0], LOGGER.isEnabledFor(logging.INFO)
        self.options, self.began, self.course = options, began, None
        if logs or asked.callback is not None or asked.verbose or asked.time_limit is not None:
            self.course = Course(call, asked, began, remark)
            self.options = [dataclasses.replace(option, course=self.course) for option in options]
        if logs:
            origin, samples = arrival.origin, arrival.samples
            LOGGER.info(
                "%s began: %d features, %d samples, %s on %s (%s), solver %s",
                *(call, samples.n_x, samples.m, origin.backend, origin.device, origin.dtype, asked.asked),
            )

    def __enter__(self) -> list[Options]:
        return self.options

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if self.course is None:
            return
        try:
            if kind is None:
                self.course.finish(time.perf_counter() - self.began)
            else:
                LOGGER.info("%s ended by %s", self.course.call, kind.__name__)
        finally:
            self.course.close()
        if kind is None:
            self.course.complain()


def begin(options: Sequence[Options], models: int, score: str = "") -> None:
    """Begin to fit so many models in a call, or begin anew, see `Course.begin`; nothing if nobody follows the call."""
    course: Course | None = options[0].course
    if course is not None:
        course.begin(models, score)


class Watch(NamedTuple):
    """The monitors of a solver of one model."""

    monitor: Monitor | None  # called before steps on all samples
    clock: Clock | None  # also watches the steps on subsets


def watch_over(problem: Problem, course: Course | None, checkpoint: Monitor | None) -> Watch:
    """Combine the monitors of a solver of one model; the first that returns a reason ends the fit."""
    if course is None:
        return Watch(checkpoint, None)
    clock = None if course.end is None else Clock(course.end)
    told = _of_many(course) if course.many else _of_one(problem, course) if course.looks else None
    present = [monitor for monitor in (checkpoint, told, clock) if monitor is not None]

    def monitor(iteration: int, theta: Array, here: Evaluation, gap: Array | None) -> str:
        said = next(filter(None, (each(iteration, theta, here, gap) for each in present)), "")
        course.stopped = said or course.stopped
        return said

    return Watch(monitor if present else None, clock)


def _of_one(problem: Problem, course: Course) -> Monitor:
    """Make the monitor of a call that fits one model; a state that is kept does not hold X, but for wide data."""
    parameters = problem.coordinates.parameters_of
    norm = functools.partial(gradient_norm, problem.objective.penalty, problem.coordinates, problem.user)

    def monitor(iteration: int, theta: Array, here: Evaluation, gap: Array | None) -> str:
        state = State(
            next(course.steps),  # which go on over the stages of a solver
            theta,
            here,
            gap,
            parameters=parameters,
            norm=norm,
        )
        if course.line is not None and course.line.is_due:
            counted = f"iteration {state.iteration} of at most {course.most}"
            course.line.show(state.iteration, course.most, counted, f"cost {state.cost:.6g}")
        if course.logs_steps:
            LOGGER.debug("fit: %r", state)
        return "callback" if course.callback is not None and course.callback(state) else ""

    return monitor


def _of_many(course: Course) -> Monitor:
    """Make the monitor of a call that fits many models, for one of them."""

    def monitor(iteration: int, theta: Array, here: Evaluation, gap: Array | None) -> str:
        number = course.number
        known = {} if number is None or not course.looks else {number: float(as_host(here.value)[0])}
        return course.stopped or course.sees(known)

    return monitor


@dataclass(frozen=True)
class Together:
    """The monitor of models that are minimised together, see `xlogreg.solvers.result.GroupMonitor`."""

    course: Course
    problem: Problem  # of any of the models: their coordinates
    penalties: Sequence[Options]  # of all models of the plan
    models: np.ndarray  # (g,) their numbers in the plan
    clock: Clock | None
    final: bool = True  # whether models that end do not go on in another stage

    @classmethod
    def of(cls, problem: Problem, options: Sequence[Options], models: list[int]) -> "Together | None":
        """Make the monitor of some models of a plan; None if nobody follows its call."""
        course: Course | None = options[0].course
        if course is None:
            return None
        return cls(course, problem, options, np.asarray(models), None if course.end is None else Clock(course.end))

    @property
    def stopped(self) -> str:
        return self.course.stopped

    def keep(self, models: Any, final: bool = True) -> "Together":
        return dataclasses.replace(self, models=self.models[models], final=final)

    def sees(self, iteration: int, costs: dict[int, float]) -> str:
        course = self.course
        said = course.stopped or course.sees({int(self.models[model]): cost for model, cost in costs.items()})
        course.stopped = said or ("" if self.clock is None else self.clock.tick(iteration == 0))
        return course.stopped

    def ended(self, found: dict[int, Result]) -> None:
        if self.final:
            named = {int(self.models[model]): result for model, result in found.items()}
            self.course.finds(self.problem, named, self.penalties)
