"""Copies of the same fit at once, as on a machine that others use, too; beside scikit-learn's fastest solver.

Run: python -m benchmarks.load [--case NAME ...] [--json FILE]

One, two and four processes run, each with the threads that its library takes by default; nothing is pinned. They
import, make the data and fit once. Then they start together, three times, each with about a second of fits. Seconds are
those of a fit in the slowest copy, the median of the three. Of scikit-learn, the solver runs that is the fastest alone,
at its loosest tol with a gap below 1e-6. The command `xlogreg images fit` runs as a whole, and has no rival.
"""

import contextlib
import io
import multiprocessing
import os
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import xlogreg
from benchmarks.bars import Bar, at_most
from benchmarks.cases import report
from benchmarks.clock import timed
from benchmarks.contest import Answer, from_sklearn
from benchmarks.judge import judge
from benchmarks.problems import Data, gaussian, shapes

ROUNDS = 3
SECONDS = 1.0  # of the fits of a round, by one copy alone
PATIENCE = 300.0  # seconds, after which a copy that says nothing is an error
GAP = 1e-6  # of the cost
SOLVERS, TOLS = ("newton-cholesky", "newton-cg", "lbfgs"), (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8)
PICTURES, SIDE = 120, 32
Way = tuple[str, float] | None  # solver and tol of scikit-learn; None: ours


class Case(NamedTuple):
    """Data, penalties in units of 1/m, and numbers of copies with the most that they may take, over one alone."""

    data: Callable[[], Data] | None  # None: pictures
    l2s: tuple[float, ...] = (1.0,)
    bars: tuple[tuple[int, float], ...] = ((2, 2.5), (4, 5.0))


PENALTIES = tuple(np.logspace(3, -3, 45).tolist())
CASES = {
    "500 x 10": Case(partial(gaussian, 500, 10, 1)),
    "3,200 x 60": Case(partial(gaussian, 3_200, 60, 1)),
    "2,000 x 200": Case(partial(gaussian, 2_000, 200, 1)),
    "20,000 x 50": Case(partial(gaussian, 20_000, 50, 1)),
    "50,000 x 100": Case(partial(gaussian, 50_000, 100, 1)),
    "softmax of 8 classes, 8,000 x 40": Case(partial(gaussian, 8_000, 40, 1, K=8)),
    "path of 45 penalties, 5,000 x 50": Case(partial(gaussian, 5_000, 50, 1), PENALTIES),
    "xlogreg images fit, 120 pictures": Case(None, bars=((2, 3.0),)),
}


def bars() -> list[Bar]:
    found = []
    for name, case in CASES.items():
        for copies, limit in case.bars:
            found.append(at_most(limit, "cases", name, f"{copies} / alone"))
            if case.data:
                found.append(at_most(f"scikit-learn, slowest of {copies}", "cases", name, f"slowest of {copies}"))
    return found


BARS = bars()


def ours(X: np.ndarray, y: np.ndarray, l2s: list[float]) -> list[Answer]:
    """One fit, or the path of several penalties."""
    one = len(l2s) == 1
    models = [xlogreg.fit(X, y, l2=l2s[0], samples="rows")] if one else xlogreg.fit_path(X, y, l2s, samples="rows")
    return [Answer(model.w, np.ravel(model.b)) for model in models]


def theirs(X: np.ndarray, y: np.ndarray, l2s: list[float], solver: str, tol: float) -> list[Answer]:
    """The same: each penalty starts where the stronger one before it ended."""
    from sklearn.linear_model import LogisticRegression

    estimator, found = LogisticRegression(solver=solver, tol=tol, max_iter=10_000, warm_start=True), []
    for l2 in l2s:
        estimator.set_params(C=1 / (l2 * len(y))).fit(X, y)
        found.append(from_sklearn(estimator.coef_.copy(), estimator.intercept_.copy()))
    return found


def run_of(name: str, way: Way, folder: str) -> Callable[[], Any]:
    """What a copy does."""
    case = CASES[name]
    if case.data is None:
        return partial(fit_pictures, folder)
    X, y = case.data()
    l2s = [l2 / len(y) for l2 in case.l2s]
    return partial(ours, X, y, l2s) if way is None else partial(theirs, X, y, l2s, *way)


def fit_pictures(folder: str) -> None:
    from xlogreg.cli import main

    with contextlib.redirect_stdout(io.StringIO()):
        main(["images", "fit", folder, "-o", f"{folder}.{os.getpid()}.model", "--size", str(SIDE)])


def write_pictures(folder: Path) -> None:
    from PIL import Image

    for number, (picture, which) in enumerate(zip(*shapes(PICTURES, SIDE, 1), strict=True)):
        (folder / str(which)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / str(which) / f"{number}.png")


def copy(name: str, way: Way, folder: str, fits: int | None, start: Barrier, answers: Queue) -> None:
    """In a process of its own: seconds of a fit in each round, and how many fits that were."""
    run = run_of(name, way, folder)
    run()
    fits = fits or max(1, round(SECONDS / timed(run)[0]))
    rounds = []
    for _ in range(ROUNDS):
        start.wait(PATIENCE)
        rounds.append(timed(lambda: [run() for _ in range(fits)])[0] / fits)
    answers.put((rounds, fits))


def fastest(name: str, answers: Queue) -> None:
    """In a process of its own: the solver and tol of scikit-learn that come near enough first."""
    found: dict[tuple[str, float], float] = {}
    X, y = CASES[name].data()
    l2s = [l2 / len(y) for l2 in CASES[name].l2s]

    def costs(fitted: list[Answer]) -> np.ndarray:
        return np.asarray([judge(X, y, a.w, a.b, l2, prove=False).cost for a, l2 in zip(fitted, l2s, strict=True)])

    goal = costs(ours(X, y, l2s)) * (1 + GAP)
    for solver in SOLVERS:
        near = (tol for tol in TOLS if np.all(costs(theirs(X, y, l2s, solver, tol)) <= goal))
        tol = next(near, None)
        if tol is not None:
            found[solver, tol] = min(timed(partial(theirs, X, y, l2s, solver, tol))[0] for _ in range(ROUNDS))
    answers.put(min(found, key=found.__getitem__))


def together(copies: int, name: str, way: Way, folder: str, fits: int | None) -> tuple[float, int]:
    """Seconds of a fit in the slowest of so many copies, and how many fits a round has."""
    context = multiprocessing.get_context("spawn")
    start, answers = context.Barrier(copies), context.Queue()
    workers = [context.Process(target=copy, args=(name, way, folder, fits, start, answers)) for _ in range(copies)]
    for worker in workers:
        worker.start()
    try:
        found = [answers.get(timeout=PATIENCE) for _ in workers]
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
    rounds = zip(*(rounds for rounds, _ in found), strict=True)
    return statistics.median(max(times) for times in rounds), found[0][1]


def in_a_process(function: Callable[..., None], *arguments: Any) -> Any:
    """The answer of a function that puts it into a queue."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    worker = context.Process(target=function, args=(*arguments, answers))
    worker.start()
    try:
        return answers.get(timeout=PATIENCE)
    finally:
        worker.terminate()
        worker.join()


def measure(name: str) -> dict[str, object]:
    case = CASES[name]
    found: dict[str, object] = {"case": name}
    ways: dict[str, Way] = {"": None}
    if case.data:
        way = in_a_process(fastest, name)
        ways["scikit-learn, "], found["solver"] = way, f"{way[0]} {way[1]:g}"
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "pictures"
        if case.data is None:
            write_pictures(folder)
        alone = {who: together(1, name, way, str(folder), None) for who, way in ways.items()}
        found |= {f"{who}alone": seconds for who, (seconds, _) in alone.items()}
        for copies, _ in case.bars:
            for who, way in ways.items():
                seconds = together(copies, name, way, str(folder), alone[who][1])[0]
                found |= {f"{who}slowest of {copies}": seconds, f"{who}{copies} / alone": seconds / alone[who][0]}
    return found


def main() -> None:
    for variable in [name for name in os.environ if name.endswith("_NUM_THREADS")]:
        del os.environ[variable]  # of the copies: libraries take their defaults
    report(__doc__, CASES, measure, BARS)


if __name__ == "__main__":
    main()
