"""L1 penalties, which select features, beside the libraries made for them: seconds to the same cost, and passes.

Run: python -m benchmarks.selection [--case TEXT ...] [--json FILE]

Rivals that are installed take part: scikit-learn's saga and liblinear, skglm, celer, adelie and glum. All are judged by
one function in float64. One process, alternately, best of four to twelve; once only what takes long. Each rival runs
with all threads and with one, of which the faster counts: BLAS on a busy machine may wait very long for its other
threads, and skglm and celer call it for each coordinate. Of a rival the loosest tol counts at which its cost comes
within 1e-6 of the minimum. It is sought in another process first, killed when a fit takes 20 seconds: the rival
is "stopped", and its ratio is a lower bound, ">=" in words. Ours runs at 1e-6, which is its relative gap, and at a
smaller tol where its cost misses the minimum by more; it has 20 seconds, too, but for a path. Where ours is stopped or
misses, the ratio is 0 if the rival ended, and is left out if it was stopped as well. Rivals get X in the layout that
they want, made before the clock starts; ours takes rows. Nobody has a bias beside liblinear, which penalises it, and
celer, which has none. The minimum is the lowest cost that anyone found, and "proved" bounds its relative gap by the
dual problem. A path has 100 penalties from the largest l1 down to a hundredth of it. For a single penalty adelie takes
the better of that penalty alone and a path of 20 to it, from the largest.

The cross-validation has 100 penalties and 5 folds. The tol of a rival is that of a fit at the weakest penalty, or 1e-3
where the search for it found none. It is killed after 20 seconds, too; then all penalties of one fold are timed and
scaled, as "scaled" says. Few penalties of all folds would start from farther away: 5 of 100 took saga 1.5 times as long
for each. saga fits the folds on all cores at once. Rivals do not fit the chosen penalty again, and skglm scores
nothing; ours does both. No judge sees the 500 models of ours: what counts is how many of its fits warn that they miss
1e-6. `multinomial="grouped"` and `relax` are timed beside the plain lasso of ours, at 1e-6.

pip install skglm celer glum. adelie asks for NumPy below 2, but also runs with later ones: pip install --no-deps
adelie.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

import xlogreg
from benchmarks import sparse
from benchmarks.bars import at_least, at_most
from benchmarks.lassos import ACROSS, Dense, Folds, Task, version
from benchmarks.race import LIMIT, START, Case, aimed, compared, judged, raced, sent, tried
from benchmarks.sparse import GAP, ROUNDS, Text, timed
from xlogreg.exceptions import ConvergenceWarning

PASSES = (1e-4, 1e-6, 1e-8, 1e-12)
FOLDS, ROUGH = 5, 1e-3  # of a cross-validation; tol of a rival whose single fits take too long


class Across(NamedTuple):
    """Data, and the rivals of a cross-validation: penalties from the largest down to a share of it."""

    data: Dense
    share: float
    path: int
    rivals: tuple[str, ...]

    def task(self) -> Task:
        return Case(self.data, self.share, path=self.path).task(True)


class Beside(NamedTuple):
    """Data, l1 as a share of the largest, and what a fit is given beyond the plain lasso."""

    data: Dense
    share: float
    options: dict[str, Any]


def passes(case: Case) -> dict[str, Any]:
    """Passes and seconds of ours to each tol."""
    task, found = case.task(not case.C), {}
    for tol in PASSES:
        options: dict[str, Any] = {"samples": "rows", "bias": task.bias, "tol": tol, "time_limit": LIMIT}
        took, model = timed(partial(xlogreg.fit, task.X, task.y, l1=float(task.l1[0]), **options))
        info, name = model.fit_info, f"{tol:.0e}".replace("-0", "-")
        selected = int(np.any(model.w != 0, axis=1).sum())
        found[f"to {name}"] = {"passes": info.passes, "seconds": took, "reason": info.reason, "selected": selected}
        if info.reason == "time_limit":
            break
    return found


def race(case: Case) -> dict[str, Any]:
    result: dict[str, Any] = {} if case.path > 1 else passes(case)
    for bias, names in ((True, case.biased), (False, case.unbiased)):
        result |= raced(case, bias, names) if names else {}
    return result


def crossed(case: Across, name: str, tol: float, count: int, sender: Any) -> None:
    """Send the seconds of a rival for so many folds, with one thread of BLAS and with all; None when it is ready."""
    task, fit = case.task(), ACROSS[name][1]
    folds: Folds = list(StratifiedKFold(FOLDS).split(task.X, task.y))
    small = task.tiny()
    fit(small, ROUGH, list(StratifiedKFold(FOLDS).split(small.X, small.y))[:1])
    sender.send(None)
    with threadpool_limits(1):
        sender.send(timed(partial(fit, task, tol, folds[:count]))[0])
    sender.send(timed(partial(fit, task, tol, folds[:count]))[0])
    sender.close()


def across(case: Across, name: str, tol: float) -> tuple[list[float | None], bool]:
    """Return seconds of a cross-validation by a rival, None where it was stopped, and whether one fold was scaled."""
    seconds = list(sent(LIMIT, crossed, case, name, tol, FOLDS))
    if seconds != [None]:
        return seconds, False
    rounds = -(-FOLDS // ACROSS[name][0])
    one = list(sent(START, crossed, case, name, tol, 1))
    return [took and rounds * took for took in one], True


def cross(case: Across) -> dict[str, Any]:
    """Time a cross-validation of ours, before and after those of the rivals."""
    task, single = case.task(), Case(case.data, case.share)
    run = partial(xlogreg.fit_cv, task.X, task.y, penalties=task.l1, l1_ratio=1.0, folds=FOLDS, tol=GAP, samples="rows")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        first, found = timed(run)
    missed = sum(issubclass(one.category, ConvergenceWarning) for one in caught)
    result = {"fits of ours that warn": missed, "gap of the chosen, as it reports": found.model.fit_info.gap}
    there = [name for name in case.rivals if version(name)]
    result |= {f"missing: {name}": "not installed" for name in case.rivals if name not in there}
    reference, _, goal = aimed(single.task(True))
    theirs: dict[str, float | None] = {}
    for name in there:
        trials, stopped = tried(single, name, True, goal)
        tol, word = judged(trials, stopped, np.min([reference, *(reached for _, reached in trials)], axis=0))
        seconds, scaled = across(case, name, tol or ROUGH)
        ended = [took for took in seconds if took is not None]
        theirs |= {name: min(ended, default=None)} if seconds else {}  # none: it failed
        result[f"seconds of {name}"] = min(ended) if ended else "stopped" if seconds else "failed"
        result[f"tol of {name}"] = f"{ROUGH:.0e}, since single fits: {word}" if tol is None else word
        result |= {f"scaled: {name}": f"one fold of {FOLDS}, all penalties"} if scaled else {}
    own = min(first, *(timed(run)[0] for _ in range(ROUNDS)))
    return {"seconds of ours": own} | result | compared(own, theirs)


def set_beside(case: Beside) -> dict[str, Any]:
    """Time a fit and the plain lasso, alternately."""
    task = Case(case.data, case.share).task(True)
    options: dict[str, Any] = {"l1": float(task.l1[0]), "samples": "rows", "tol": GAP, "time_limit": LIMIT}
    ways: dict[str, dict[str, Any]] = {"lasso": {}, "ours": case.options}
    result: dict[str, Any] = {}
    for _ in range(ROUNDS + 1):
        for name, more in ways.items():
            took, model = timed(partial(xlogreg.fit, task.X, task.y, **options, **more))
            took = min(took, result[name]["seconds"]) if name in result else took
            selected = int(np.any(model.w != 0, axis=1).sum())
            info = model.fit_info
            found = {"passes": info.passes, "seconds": took, "reason": info.reason, "selected": selected}
            result[name] = found
    return result | {"ours / lasso": result["ours"]["seconds"] / result["lasso"]["seconds"]}


MEASURES: dict[type, Callable[[Any], dict[str, Any]]] = {Case: race, Across: cross, Beside: set_beside}


def measure(case: Case | Across | Beside) -> dict[str, Any]:
    return MEASURES[type(case)](case)


SHARES = (0.1, 0.01)
BIASED, UNBIASED = ("skglm", "adelie", "glum", "saga"), ("liblinear", "celer")
OF_WORDS = ("liblinear", "skglm", "saga", "celer")


def of_shares(name: str, data: Dense, biased: tuple[str, ...] = (), unbiased: tuple[str, ...] = ()) -> dict[str, Case]:
    return {f"{name}, l1 = {share:g} of the largest": Case(data, share, 0.0, biased, unbiased) for share in SHARES}


TALL = of_shares("100k x 100", Dense(100_000, 100, 10), BIASED, UNBIASED)
MIDDLE = of_shares("20k x 1,000", Dense(20_000, 1_000, 10), BIASED, UNBIASED)
WIDE = of_shares("200 x 10,000", Dense(200, 10_000, correlation=0.5), BIASED, UNBIASED)
ROUND = of_shares("200k x 100 of condition 1", Dense(200_000, 100))
LONG_DRAWN = of_shares("200k x 100 of condition 100", Dense(200_000, 100, 100))
WORDS = {
    f"text, 20k x 50k, l1 = {1 / C:g}/m": Case(Text(20_000, 50_000, 90, 1.0), C=C, unbiased=OF_WORDS) for C in (1, 10)
}
CLASSES = {
    "5k x 100, 5 classes": Case(Dense(5_000, 100, 10, K=5), 0.1, biased=("saga",)),
    "20k x 384, 20 classes": Case(Dense(20_000, 384, 10, K=20), 0.1, biased=("saga",)),
}
PATHS = {
    "path of 100k x 100": Case(Dense(100_000, 100, 10), 0.01, biased=("adelie",), path=100),
    "path of 200 x 10,000": Case(Dense(200, 10_000, correlation=0.5), 0.01, biased=("adelie",), path=100),
}
FOLDED = "100 penalties x 5 folds, 50k x 100"
CROSSED = {FOLDED: Across(Dense(50_000, 100, 10), 0.01, 100, ("saga", "skglm"))}
NEW = {
    'multinomial="grouped", 5k x 100, K = 5': Beside(Dense(5_000, 100, 10, K=5), 0.1, {"multinomial": "grouped"}),
    "relax=0.01, 100k x 100": Beside(Dense(100_000, 100, 10), 0.1, {"relax": 0.01}),
}
CASES: dict[str, Case | Across | Beside] = {
    **(TALL | MIDDLE | WIDE | ROUND | LONG_DRAWN | WORDS | CLASSES | PATHS),
    **CROSSED,
    **NEW,
}
LIMITS = {"1e-4": 3, "1e-8": 4, "1e-12": 6}  # of passes
FASTER = {"skglm": 1.5, "adelie": 1.5, "glum": 4.0, "liblinear": 4.0, "saga": 10.0}
BARS = [
    *(at_most(limit, case, f"to {tol}", "passes") for case in (*ROUND, *LONG_DRAWN) for tol, limit in LIMITS.items()),
    *(at_least(limit, case, f"{name} / ours") for case in TALL for name, limit in FASTER.items()),
    *(at_least(limit, case, "skglm / ours") for case, limit in zip(MIDDLE, (1.0, 1.5), strict=True)),
    *(
        at_least(limit, case, f"{name} / ours")
        for case in WIDE
        for name, limit in (("skglm", 1 / 1.5), ("liblinear", 5))
    ),
    *(at_least(limit, case, f"{name} / ours") for case in WORDS for name, limit in (("best", 1.0), ("saga", 10.0))),
    *(at_least(1.0, case, "adelie / ours") for case in PATHS),
    *(at_most(25, case, "to 1e-6", "passes") for case in CLASSES),
    *(at_least(20.0, case, "saga / ours") for case in CLASSES),
    at_least(10.0, FOLDED, "saga / ours"),
    at_least(3.0, FOLDED, "skglm / ours"),
]


def main(arguments: list[str] | None = None) -> None:
    sparse.run(__doc__, CASES, measure, BARS, arguments)


if __name__ == "__main__":
    main()
