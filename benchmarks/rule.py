"""What solver="auto" chooses, beside each of its parts alone and beside scikit-learn, over a grid of problems.

Run: python -m benchmarks.rule [--cells N] [--json FILE]

The grid has samples, features, condition, penalty, signal and classes. Cells are drawn from it with a seed: ten of two
classes to three of a softmax. All fits run on one core, alternately; seconds are those of the process, the minimum of
three rounds or more. A part is a solver that "auto" may choose: the chosen one, which is "auto" itself, and the others,
run in its place. Ours run at the default tol. Of scikit-learn the fastest solver counts, at its loosest tol with a gap
below 1e-6. What takes four times as long as the fastest of its kind is run once. Cells above the bars are printed,
first those in which scikit-learn is faster.
"""

import argparse
import itertools
import json
import statistics
import time
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
from threadpoolctl import threadpool_limits

import xlogreg
from benchmarks.bars import at_most, show
from benchmarks.clock import machine, pinned
from benchmarks.competitors import sklearn
from benchmarks.contest import Answer
from benchmarks.judge import judge
from benchmarks.problems import gaussian
from xlogreg.fitting import problem

CELLS, SEED = 52, 0
PARTS = ("newton", "lbfgs", "rent-or-buy", "sampled-newton", "spectral-lbfgs")
SOLVERS = ("newton-cholesky", "newton-cg", "lbfgs")
TOLS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8)
GAP = 1e-6  # of the cost
MOST_NUMBERS = 5e6  # of X
MOST_WORK = 2e10  # m p^2 of a Hessian: beyond, a step of Newton's method takes seconds and is not tried
ENOUGH_SAMPLES = 20  # for each feature, so that classes are not separable without a penalty
LEAST_ROUNDS, MOST_ROUNDS, ENOUGH = 3, 30, 0.5  # rounds, and seconds after which only the least are run
HOPELESS = 4.0  # times the fastest
PART, RIVAL = "auto / best part", "auto / scikit-learn"
MEDIAN_BAR = 1.2
BARS = [
    at_most(MEDIAN_BAR, "ratios", PART, "median"),
    at_most(2.0, "ratios", PART, "worst"),
    at_most(1.0, "ratios", RIVAL, "median"),
    at_most(1.0, "ratios", RIVAL, "worst"),
]
Run = Callable[[], tuple[Answer, str]]


class Cell(NamedTuple):
    """l2 is in units of 1/m; the signal is the standard deviation of the scores that the labels are drawn from."""

    m: int
    n_x: int
    condition: float
    l2: float
    signal: float
    K: int = 2

    def __str__(self) -> str:
        classes = f", K {self.K}" if self.K > 2 else ""
        return f"{self.m} x {self.n_x}{classes}, condition {self.condition:g}, l2 {self.l2:g}/m, signal {self.signal:g}"

    @property
    def parameters(self) -> int:
        return self.n_x * (self.K if self.K > 2 else 1)

    @property
    def belongs(self) -> bool:
        """Whether it is small enough, and has a minimum."""
        small = self.m * self.parameters <= MOST_NUMBERS
        return small and (self.l2 > 0 or self.m >= ENOUGH_SAMPLES * self.parameters)


TRAITS = (1.0, 100.0, 1e4), (0.0, 1.0, 100.0), (1.0, 5.0)
TWO = itertools.product((200, 500, 2_000, 5_000, 20_000, 50_000, 100_000), (5, 20, 60, 200, 500, 1_000), *TRAITS, (2,))
MORE = itertools.product((500, 2_000, 8_000, 20_000), (5, 20, 60, 200), *TRAITS, (3, 10))


def drawn(count: int) -> list[Cell]:
    """So many cells, the first of a random order; three of thirteen have more than two classes."""
    rng, grids = np.random.default_rng(SEED), []
    for values in (TWO, MORE):
        cells = [cell for cell in itertools.starmap(Cell, values) if cell.belongs]
        grids.append([cells[number] for number in rng.permutation(len(cells))])
    several = round(count * 3 / 13)
    return grids[0][: count - several] + grids[1][:several]


def ours(X: np.ndarray, y: np.ndarray, l2: float, part: str) -> tuple[Answer, str]:
    """A fit by the rule, or by one of its parts; with the solver that ran."""
    chosen = problem.choose_solver if part == "auto" else lambda *given: part
    with patch.object(problem, "choose_solver", chosen):
        model = xlogreg.fit(X, y, l2=l2, samples="rows")
    info = model.fit_info
    return Answer(model.w, np.ravel(model.b), info.iterations, info.passes), info.solver


def theirs(X: np.ndarray, y: np.ndarray, C: float, solver: str, tol: float) -> tuple[Answer, str]:
    return sklearn.fit((X, y, C), solver, tol=tol, max_iter=1_000), f"{solver} {tol:g}"


def can(part: str, cell: Cell) -> bool:
    """Whether a part is made for such a cell: subsets are none of the span of wide data, for example."""
    if part in ("newton", "newton-cholesky"):
        return cell.parameters <= sklearn.LARGE and cell.m * cell.parameters**2 <= MOST_WORK
    return part != "sampled-newton" or (cell.K == 2 and cell.m > 2 * cell.n_x)


def clocked(run: Run) -> tuple[float, Answer, str]:
    start = time.process_time()
    answer, solver = run()
    return time.process_time() - start, answer, solver


class Contestant(NamedTuple):
    """A way to fit a cell: its seconds so far, the cost and the passes of its answer, and the solver that ran."""

    run: Run
    seconds: list[float]
    cost: float
    passes: float | None
    solver: str

    @property
    def least(self) -> float:
        return min(self.seconds)


def enter(run: Run, cost: Callable[[Answer], float]) -> Contestant:
    seconds, answer, solver = clocked(run)
    return Contestant(run, [seconds], cost(answer), answer.passes, solver)


def of_sklearn(
    cell: Cell, X: np.ndarray, y: np.ndarray, cost: Callable[[Answer], float], goal: float
) -> dict[str, Contestant]:
    """The loosest tol of each solver that comes near enough, by solver; none of what is hopeless."""
    C, found = 1 / cell.l2 if cell.l2 else np.inf, dict[str, Contestant]()
    for solver in (solver for solver in SOLVERS if can(solver, cell)):
        for tol in TOLS:
            one = enter(partial(theirs, X, y, C, solver, tol), cost)
            if one.cost <= goal:
                found[solver] = one
                break
            if one.least > HOPELESS * min((other.least for other in found.values()), default=np.inf):
                break
    return found


def race(rule: Contestant, others: Iterable[Contestant]) -> None:
    """Run alternately the rule, and those of the others that may be the fastest."""
    others = list(others)
    fastest = min((one.least for one in others), default=0.0)
    kept = [rule, *(one for one in others if one is not rule and one.least <= HOPELESS * fastest)]
    spent = rounds = 0.0
    while rounds < LEAST_ROUNDS or (rounds < MOST_ROUNDS and spent < ENOUGH):
        for one in kept:
            one.seconds.append(clocked(one.run)[0])
        spent, rounds = spent + sum(one.seconds[-1] for one in kept), rounds + 1


def measure(cell: Cell) -> dict[str, Any]:
    """Seconds of the rule, of each part and of scikit-learn's solvers, and the ratios of the first to the best."""
    X, y = gaussian(cell.m, cell.n_x, SEED, condition=cell.condition, K=cell.K, noise=2 / cell.signal)
    l2 = cell.l2 / cell.m

    def cost(answer: Answer) -> float:
        return judge(X, y, answer.w, answer.b, l2, prove=False).cost

    rule = enter(partial(ours, X, y, l2, "auto"), cost)
    parts = {rule.solver: rule}
    for part in (part for part in PARTS if part != rule.solver and can(part, cell)):
        parts[part] = enter(partial(ours, X, y, l2, part), cost)
    goal = min(one.cost for one in parts.values()) * (1 + GAP)
    parts = {name: one for name, one in parts.items() if one.cost <= goal}
    rivals = of_sklearn(cell, X, y, cost, goal)
    race(rule, parts.values())
    race(rule, rivals.values())
    best = min(parts, key=lambda name: parts[name].least)
    rival = min((one.least for one in rivals.values()), default=None)
    return {
        "case": str(cell),
        "seconds": rule.least,
        "passes": rule.passes,
        "solver": rule.solver,
        "reached": rule.cost <= goal,
        "parts": {name: {"seconds": one.least, "passes": one.passes} for name, one in parts.items()},
        "rivals": {one.solver: {"seconds": one.least} for one in rivals.values()},
        "best part": best,
        PART: rule.least / parts[best].least,
        RIVAL: rule.least / rival if rival else None,
    }


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Median and worst of both ratios."""
    ratios = {name: [cell[name] for cell in found if cell[name] is not None] for name in (PART, RIVAL)}
    return {
        name: {"median": statistics.median(numbers), "worst": max(numbers), "cells": len(numbers)}
        for name, numbers in ratios.items()
        if numbers
    }


def line_of(cell: dict[str, Any]) -> str:
    """A cell: the rule, its parts and scikit-learn's solvers in milliseconds, passes in brackets."""

    def shown(name: str, one: dict[str, Any]) -> str:
        passes = f" ({one['passes']:.1f})" if one.get("passes") else ""
        return f"{name} {1e3 * one['seconds']:.3g}{passes}"

    ways = ", ".join(shown(name, one) for name, one in (cell["parts"] | cell["rivals"]).items())
    rival = "-" if cell[RIVAL] is None else f"{cell[RIVAL]:.2f}"
    missed = "" if cell["reached"] else " MISSES THE GAP"
    head = f"{cell['case']}: {cell[PART]:.2f} of {cell['best part']}, {rival} of scikit-learn{missed}"
    return f"{head}\n    {shown('auto = ' + cell['solver'], cell)} ms; {ways}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=CELLS, help="how many, of two classes and of more")
    parser.add_argument("--json", help="write the results there")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    found = []
    with pinned(1), threadpool_limits(1):
        for cell in [Cell(200, 5, 1.0, 1.0, 1.0), *drawn(options.cells)]:  # the first warms up
            found.append(measure(cell))
            print(line_of(found[-1]), flush=True)
    results = {"ratios": summary(found[1:]), "cells": found[1:], **machine()}
    above = [cell for cell in found[1:] if (cell[RIVAL] or 0.0) > 1.0 or cell[PART] > MEDIAN_BAR]
    above.sort(key=lambda cell: (-max(cell[RIVAL] or 0.0, 1.0), -cell[PART]))
    print(f"\n{len(above)} of {len(found) - 1} cells are above the bars:")
    print(*map(line_of, above), sep="\n")
    for name, numbers in results["ratios"].items():
        print(f"{name}: median {numbers['median']:.3g}, worst {numbers['worst']:.3g}, {numbers['cells']} cells")
    show(BARS, results)
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
