"""Workers of a dask cluster beside one process, and beside dask-glm on the same workers.

Run: python -m benchmarks.distributed [--case NAME ...] [--json FILE]

Two worker processes of one thread each, on this machine; the blocks lie in their memory, made by tasks. "In process,
over" is our time on them over that of `fit` of the same X in this process, on as many threads. "dask-glm, over" is the
time of the fastest of dask-glm's solvers that comes within 1e-6 of the minimum, in costs, over ours; where none does,
that of the nearest. All alternately, medians; one judge, the minimum is the lowest cost that anybody found. "fit_cv" is
five folds at ten penalties. The others say what a pass costs: "overhead" with blocks of a hundred samples, "model" on
one and on two workers beside what docs/scaling.md predicts from the speed of one thread of this process.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any, NamedTuple

import numpy as np

import xlogreg
from benchmarks.bars import at_least, at_most
from benchmarks.cases import report
from benchmarks.clock import environment
from benchmarks.judge import judge

ROUNDS = 3
GAP = 1e-6
LONG = 20.0  # seconds after which a rival runs once only
PAUSE = 0.2  # seconds before each contestant
PENALTIES = np.logspace(-4, 0, 10)
STEPS = 10  # of gradient descent, each of which is a pass


class Shape(NamedTuple):
    """X (m, n_x), in so many blocks, of so many workers."""

    m: int
    n_x: int
    blocks: int
    workers: int = 2


def made(shape: Shape, number: int) -> tuple[np.ndarray, np.ndarray]:
    """A block: features of deviations from 0.1 to 10, labels from scores of the deviation 2."""
    rng = np.random.default_rng(number)
    X = rng.standard_normal((shape.m // shape.blocks, shape.n_x))
    w = np.random.default_rng(0).standard_normal(shape.n_x)
    Y = (X @ (2 * w / np.linalg.norm(w)) + rng.logistic(size=len(X)) > 0).astype(float)
    X *= np.logspace(-1, 1, shape.n_x)
    return X, Y


def joined(shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """All blocks."""
    X, Y = zip(*(made(shape, number) for number in range(shape.blocks)), strict=True)
    return np.concatenate(X), np.concatenate(Y)


@contextlib.contextmanager
def cluster(shape: Shape) -> Iterator[tuple[Any, Any]]:
    """X and Y as dask arrays, in the memory of the workers."""
    import dask
    import dask.array
    from distributed import Client, LocalCluster, wait

    size = shape.m // shape.blocks
    options = {"threads_per_worker": 1, "processes": True, "dashboard_address": ":0", "memory_limit": 0}
    before = dict(os.environ)
    os.environ |= environment(1)  # which workers inherit, and dask's own setting does not override
    with LocalCluster(n_workers=shape.workers, **options) as started, Client(started):
        os.environ.clear()
        os.environ.update(before)
        pairs = [dask.delayed(made, nout=2)(shape, number) for number in range(shape.blocks)]
        X, Y = (
            dask.array.concatenate(
                [dask.array.from_delayed(pair[part], (size, shape.n_x)[: 2 - part], float) for pair in pairs], axis=0
            )
            for part in (0, 1)
        )
        X, Y = dask.persist(X, Y)
        wait([X, Y])
        yield X, Y


def clocked(function: Callable[[], Any]) -> tuple[float, Any]:
    time.sleep(PAUSE)
    began = time.perf_counter()
    found = function()
    return time.perf_counter() - began, found


def dask_glm(solver: str, **options: Any) -> Callable[[Any, Any], tuple[np.ndarray, np.ndarray]]:
    """X has the column of ones already: adding it is not what is timed."""

    def run(X: Any, Y: Any) -> tuple[np.ndarray, np.ndarray]:
        from dask_glm import algorithms

        theta = getattr(algorithms, solver)(X, Y, normalize=False, **options)
        return theta[:-1, None], theta[-1:, None]

    return run


RIVALS = {
    "dask-glm newton": dask_glm("newton"),
    "dask-glm lbfgs": dask_glm("lbfgs", max_iter=100),  # more of them take minutes
}


def race(shape: Shape) -> dict[str, object]:
    """Ours on the workers, in this process, and dask-glm."""
    import dask.array
    from distributed import wait

    X, Y = joined(shape)
    with cluster(shape) as (X_there, Y_there):
        ones = dask.array.ones((shape.m, 1), chunks=(X_there.chunks[0], 1))
        bordered = dask.array.concatenate([X_there, ones], axis=1).rechunk({1: -1}).persist()
        wait(bordered)
        runs: dict[str, Callable[[], Any]] = {
            "ours": lambda: xlogreg.fit(X_there, Y_there, samples="rows"),
            "in process": lambda: xlogreg.fit(X, Y, samples="rows"),
        }
        for name, rival in RIVALS.items():
            runs[name] = lambda rival=rival: rival(bordered, Y_there)
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        found: dict[str, Any] = {}
        for _ in range(ROUNDS):
            for name, run in runs.items():
                if not seconds[name] or min(seconds[name]) < LONG:
                    spent, found[name] = clocked(run)
                    seconds[name].append(spent)
    pairs = {name: (part.w, part.b) if isinstance(part, xlogreg.Model) else part for name, part in found.items()}
    costs = {name: judge(X, Y.astype(int), w, b[:, 0], 0.0).cost for name, (w, b) in pairs.items()}
    lowest = min(costs.values())
    gaps = {name: (cost - lowest) / lowest for name, cost in costs.items()}
    near = [name for name in RIVALS if gaps[name] <= GAP] or [min(RIVALS, key=lambda name: gaps[name])]
    best = min(near, key=lambda name: median(seconds[name]))
    ours = median(seconds["ours"])
    answer: dict[str, object] = {
        "seconds": ours,
        "in process, over": ours / median(seconds["in process"]),
        "dask-glm, over": median(seconds[best]) / ours,
        "dask-glm's best": best,
        "passes": found["ours"].fit_info.passes,
    }
    return (
        answer
        | {f"{name}, seconds": median(spent) for name, spent in seconds.items()}
        | {f"{name}, gap": gap for name, gap in gaps.items()}
    )


def cross_validated(shape: Shape) -> dict[str, object]:
    """Five folds at ten penalties, on the workers and in this process."""
    X, Y = joined(shape)
    seconds: dict[str, list[float]] = {"ours": [], "in process": []}
    with cluster(shape) as there:
        for _ in range(ROUNDS):
            for name, pair in (("ours", there), ("in process", (X, Y))):
                spent, _ = clocked(lambda pair=pair: xlogreg.fit_cv(*pair, PENALTIES, samples="rows"))
                seconds[name].append(spent)
    ours, here = (median(spent) for spent in seconds.values())
    return {"seconds": ours, "in process, seconds": here, "in process, over": ours / here}


def seconds_a_pass(X: Any, Y: Any) -> float:
    """Of gradient descent, by the difference of a long and a short run: what a fit does once falls out."""
    runs = [
        median(
            clocked(lambda n=n: xlogreg.fit(X, Y, samples="rows", solver="gd", learning_rate=1e-3, max_iter=n))[0]
            for _ in range(3)
        )
        for n in (STEPS, 2 * STEPS)
    ]
    return (runs[1] - runs[0]) / STEPS


def overhead(shape: Shape) -> dict[str, object]:
    with cluster(shape) as (X, Y):
        found = seconds_a_pass(X, Y)
    return {"seconds a pass": found, "seconds a pass and block": found / shape.blocks}


def model(shape: Shape) -> dict[str, object]:
    """Passes of one and two workers, beside the bytes that one thread of this process reads in a second."""
    from threadpoolctl import threadpool_limits

    few, block = Shape(100 * shape.blocks, shape.n_x, shape.blocks), made(shape, 0)
    with threadpool_limits(1):
        speed = block[0].nbytes / seconds_a_pass(*block)
    lost = float(str(overhead(few)["seconds a pass"]))
    answer: dict[str, object] = {"GB/s of a thread": speed / 1e9, "overhead of a pass": lost}
    for count in (1, 2):
        with cluster(shape._replace(workers=count)) as (X, Y):
            measured = seconds_a_pass(X, Y)
        predicted = X.nbytes / (count * speed) + lost
        answer[f"pass of {count}"], answer[f"over the model, {count}"] = measured, measured / predicted
    return answer


CASES: dict[str, tuple[Callable[[Shape], dict[str, object]], Shape]] = {
    "2M x 100": (race, Shape(2_000_000, 100, 8)),
    "overhead, 2 blocks": (overhead, Shape(200, 100, 2)),
    "overhead, 64 blocks": (overhead, Shape(6400, 100, 64)),
    "model": (model, Shape(2_000_000, 100, 8)),
    "fit_cv, 500k x 50": (cross_validated, Shape(500_000, 50, 4)),
}
RACE, OVERHEAD, *_ = CASES
BARS = [
    at_most(1.3, "cases", RACE, "in process, over"),
    at_least(5.0, "cases", RACE, "dask-glm, over"),
    at_most(0.03, "cases", OVERHEAD, "seconds a pass"),
]


def measure(name: str) -> dict[str, object]:
    run, shape = CASES[name]
    return {"case": name} | run(shape)


if __name__ == "__main__":
    report(__doc__, CASES, measure, BARS)
