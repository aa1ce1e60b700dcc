"""L1 penalties, which select features, beside the libraries made for them: seconds to the same cost, and passes.

Run: python -m benchmarks.selection [--case TEXT ...] [--json FILE]

Rivals that are installed take part: scikit-learn's saga and liblinear, skglm, celer, adelie and glum. All are judged by
one function in float64. One process, alternately, best of four to twelve; once only what takes long. Each rival runs
with all threads and with one, of which the faster counts: BLAS on a busy machine may wait very long for its other
threads, and skglm and celer call it for each coordinate. Of a rival the loosest tol counts at which its cost comes
within 1e-6 of the minimum. It is sought in another process first, which is killed when a fit takes a minute; that
minute is then its time. Ours runs at 1e-6, which is its relative gap, and at a smaller tol where its cost misses the
minimum by more; it has a minute, too, but for a path. Rivals get X in the layout that they want, made before the clock
starts; ours takes rows. Nobody has a bias beside liblinear, which penalises it, and celer, which has none. The minimum
is the lowest cost that anyone found, and "proved" bounds its relative gap by the dual problem. A path has 100 penalties
from the largest l1 down to a hundredth of it.
adelie asks for NumPy below 2, but also runs with later ones: pip install --no-deps adelie.
"""

import contextlib
import importlib.metadata
import inspect
import multiprocessing
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from scipy.special import entr, expit, softmax
from threadpoolctl import ThreadpoolController, threadpool_limits

import xlogreg
from benchmarks import sparse
from benchmarks.bars import at_least, at_most
from benchmarks.sparse import GAP, ROUNDS, Text, timed

TOLS = tuple(10.0**-digits for digits in range(1, 12))
CLOSE = 1e-7  # relative gap, up to which a rival goes on where ours gives no minimum
OWN_TOLS = (GAP, 3e-7, 1e-7, 1e-8)
PASSES = (1e-4, 1e-6, 1e-8, 1e-12)
MINUTE = 60.0  # that a fit may take
MOST, ENOUGH, LONG = 12, 2.0, 5.0  # alternations; seconds of all that say enough, and of one that is not repeated
START = 300.0  # seconds in which its process has to be ready
Answer = list[tuple[np.ndarray, np.ndarray]]  # w (n_x, k) and b (k,) for each penalty


class Dense(NamedTuple):
    """m normal samples of n_x features, their covariance of this condition; or neighbours that correlate."""

    m: int
    n_x: int
    condition: float = 1.0
    correlation: float = 0.0
    K: int = 2

    def drawn(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        X = rng.standard_normal((self.m, self.n_x))
        if self.correlation:
            for j in range(1, self.n_x):
                X[:, j] = self.correlation * X[:, j - 1] + np.sqrt(1 - self.correlation**2) * X[:, j]
        else:
            X *= np.geomspace(1, 1 / np.sqrt(self.condition), self.n_x)
            q = rng.standard_normal(self.n_x)
            q /= np.linalg.norm(q)
            X -= 2 * np.outer(X @ q, q)
        W = np.zeros((self.n_x, self.K if self.K > 2 else 1))
        relevant = rng.choice(self.n_x, 10, replace=False)
        W[relevant] = rng.normal(size=(10, W.shape[1]))
        Z = X @ W
        Z *= 2 / Z.std()
        if self.K > 2:
            return X, np.argmax(Z + rng.gumbel(size=Z.shape), axis=1)
        return X, (rng.random(self.m) < expit(Z[:, 0])).astype(int)


class Task(NamedTuple):
    """X (m, n_x) by rows and again by columns, labels y (m,), penalties l1 (P,)."""

    X: Any
    columns: Any
    y: np.ndarray
    l1: np.ndarray
    bias: bool

    @property
    def Y(self) -> np.ndarray:
        return np.eye(self.y.max() + 1)[self.y]

    def tiny(self) -> "Task":
        """Make a small task of the same kind, on which libraries compile."""
        X, y = self.X[:400, :10], self.y[:400]
        return posed(X, y, largest(X, y) * np.geomspace(0.9, 0.5, len(self.l1)), self.bias)


def posed(X: Any, y: np.ndarray, l1: np.ndarray, bias: bool) -> Task:
    columns = np.asfortranarray(X) if isinstance(X, np.ndarray) else scipy.sparse.csc_array(X)
    return Task(X, columns, y, l1, bias)


def largest(X: Any, y: np.ndarray) -> float:
    """Smallest l1 at which all weights are zero."""
    Y = np.eye(y.max() + 1)[y]
    return float(np.max(np.abs(X.T @ (Y - Y.mean(axis=0))))) / len(y)


class Case(NamedTuple):
    """Data, l1 as a share of the largest or as scikit-learn's C, and the rivals with a bias and without."""

    data: Dense | Text
    share: float = 0.0
    C: float = 0.0
    biased: tuple[str, ...] = ()
    unbiased: tuple[str, ...] = ()
    path: int = 1

    def task(self, bias: bool) -> Task:
        X, y = self.data.drawn()
        if self.C:
            return posed(X, y, np.asarray([1 / (self.C * len(y))]), bias)
        shares = np.geomspace(1.0, self.share, self.path) if self.path > 1 else np.asarray([self.share])
        return posed(X, y, largest(X, y) * shares, bias)


def costs(task: Task, answer: Answer) -> np.ndarray:
    """J at each penalty (P,)."""
    kinks = [l1 * np.sum(np.abs(w)) for (w, _), l1 in zip(answer, task.l1, strict=True)]
    return np.asarray([sparse.cost(task.X, task.y, w, b, 0.0) for w, b in answer]) + np.asarray(kinks)


def bounds(task: Task, answer: Answer) -> np.ndarray:
    """Bounds (P,) below the minimal J, by residuals scaled until no slope is beyond l1 (Koh, Kim & Boyd 2007).

    With a bias they hold for biases up to twice as large, as residuals sum to zero only nearly.
    """
    Y, found = task.Y, []
    for (w, b), l1 in zip(answer, task.l1, strict=True):
        Z = task.X @ w + b
        R = Y - softmax(np.hstack([np.zeros_like(Z), Z]) if Z.shape[1] == 1 else Z, axis=1)
        R *= min(1.0, l1 * len(Y) / np.max(np.abs(task.X.T @ R)))
        found.append(np.sum(entr(Y - R)) / len(Y) - 2 * np.max(np.abs(b)) * np.sum(np.abs(R.mean(axis=0))))
    return np.asarray(found)


def ours(task: Task, tol: float | None = None) -> Answer:
    X, y = task.X, task.y
    options: dict[str, Any] = {"samples": "rows", "bias": task.bias, "tol": tol}
    if len(task.l1) == 1:
        models: Any = [xlogreg.fit(X, y, l1=float(task.l1[0]), time_limit=MINUTE, **options)]
    else:
        models = xlogreg.fit_path(X, y, penalties=task.l1, l1_ratio=1.0, **options)
    return [(model.w, np.ravel(model.b)) for model in models]


def by_sklearn(solver: str, task: Task, tol: float) -> Answer:
    from sklearn.linear_model import LogisticRegression

    options: dict[str, Any] = {"solver": solver, "fit_intercept": task.bias, "max_iter": 1_000_000, "random_state": 0}
    model = LogisticRegression(C=1 / (task.l1[0] * len(task.y)), l1_ratio=1.0, tol=tol, **options)
    model.fit(task.X, task.y)
    return [(model.coef_.T, np.ravel(model.intercept_))]


def by_skglm(task: Task, tol: float) -> Answer:
    from skglm import SparseLogisticRegression

    model = SparseLogisticRegression(alpha=task.l1[0], tol=tol, max_iter=1000, fit_intercept=task.bias)
    model.fit(task.columns, task.y)
    return [(model.coef_.T, np.ravel(model.intercept_))]


def by_celer(task: Task, tol: float) -> Answer:
    from celer import LogisticRegression

    model = LogisticRegression(C=1 / (task.l1[0] * len(task.y)), tol=tol, max_iter=1000).fit(task.columns, task.y)
    return [(model.coef_.T, np.zeros(1))]


def by_adelie(task: Task, tol: float) -> Answer:
    import adelie

    options: dict[str, Any] = {"early_exit": False, "progress_bar": False}  # on one thread, as is its default
    glm = adelie.glm.binomial(y=task.y.astype(float))
    state = adelie.grpnet(task.columns, glm, lmda_path=task.l1, tol=tol, irls_tol=tol, intercept=task.bias, **options)
    return [(w[:, None], np.ravel(b)) for w, b in zip(state.betas.toarray(), state.intercepts, strict=True)]


def by_glum(task: Task, tol: float) -> Answer:
    from glum import GeneralizedLinearRegressor

    options: dict[str, Any] = {"family": "binomial", "l1_ratio": 1.0, "max_iter": 1000, "fit_intercept": task.bias}
    model = GeneralizedLinearRegressor(alpha=task.l1[0], gradient_tol=tol, **options)
    model.fit(task.columns, task.y.astype(float))
    return [(model.coef_[:, None], np.ravel(model.intercept_))]


RIVALS: dict[str, tuple[str, Callable[[Task, float], Answer]]] = {  # the package, and its fit
    "saga": ("scikit-learn", partial(by_sklearn, "saga")),
    "liblinear": ("scikit-learn", partial(by_sklearn, "liblinear")),
    "skglm": ("skglm", by_skglm),
    "celer": ("celer", by_celer),
    "adelie": ("adelie", by_adelie),
    "glum": ("glum", by_glum),
}


def version(name: str) -> str | None:
    try:
        return importlib.metadata.version(RIVALS[name][0])
    except importlib.metadata.PackageNotFoundError:
        return None


def attempts(case: Case, name: str, bias: bool, sender: Any) -> None:
    """Send costs of a rival at each tol, with bounds of the minimum, the loosest first; None when it is ready."""
    task, fit = case.task(bias), RIVALS[name][1]
    fit(task.tiny(), GAP)
    sender.send(None)
    with threadpool_limits(1):
        for tol in TOLS:
            answer = fit(task, tol)
            sender.send((tol, costs(task, answer), bounds(task, answer)))
    sender.close()


def attempted(case: Case, name: str, bias: bool) -> Iterator[tuple[float, np.ndarray, np.ndarray] | None]:
    """Yield tol, costs and bounds of each attempt, and None in the end if it had to be killed."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    worker = context.Process(target=attempts, args=(case, name, bias, sender), daemon=True)
    worker.start()
    sender.close()
    try:
        limit = START
        while receiver.poll(limit):
            found, limit = receiver.recv(), MINUTE
            if found is not None:
                yield found
        yield None
    except EOFError:
        return
    finally:
        worker.kill()
        worker.join()


def tried(case: Case, name: str, bias: bool, goal: np.ndarray | None) -> tuple[list[tuple[float, np.ndarray]], bool]:
    """Return tol and costs of each attempt, up to one that reaches the goal, and whether the next took too long.

    Without a goal it goes on up to one that is proved to be close.
    """
    found: list[tuple[float, np.ndarray]] = []
    for attempt in attempted(case, name, bias):
        if attempt is None:
            return found, True
        tol, reached, bound = attempt
        found.append((tol, reached))
        if np.all(reached <= (bound * (1 + CLOSE) if goal is None else goal)):
            break
    return found, False


def alternated(runs: dict[str, Callable[[], Answer]], own: str) -> dict[str, float]:
    """Shortest seconds of each; rivals run with all threads and with one."""
    control = ThreadpoolController()
    found: dict[tuple[str, bool], list[float]] = {(name, False): [] for name in runs}
    found |= {(name, True): [] for name in runs if name != own}
    for number in range(MOST):
        for (name, one), took in found.items():
            if not took or (took[0] < LONG and (number <= ROUNDS or sum(took) < ENOUGH)):
                with control.limit(limits=1) if one else contextlib.nullcontext():
                    took.append(timed(runs[name])[0])
    return {name: min(min(took) for (whose, _), took in found.items() if whose == name) for name in runs}


def own_tol(task: Task, least: np.ndarray) -> tuple[float | None, float]:
    """Find the largest tol of ours that reaches the gap, or None; and the gap at the first."""
    first = None
    for tol in OWN_TOLS:
        took, answer = timed(partial(ours, task, tol))
        gap = float(np.max(costs(task, answer) / least)) - 1.0
        first = gap if first is None else first
        if gap <= GAP:
            return tol, first
        if took >= MINUTE:
            break
    return None, first or 0.0


def raced(case: Case, bias: bool, names: tuple[str, ...]) -> dict[str, Any]:
    """Time ours and the rivals, with a bias or without."""
    task, suffix = case.task(bias), " without a bias" if case.biased and not bias else ""
    own, there, tight = f"ours{suffix}", [name for name in names if version(name)], ours(task)
    reference, bound = costs(task, tight), bounds(task, tight)
    goal = reference * (1 + GAP) if np.all(reference - bound <= GAP * reference) else None
    attempts = {name: tried(case, name, bias, goal) for name in there}
    least = np.min([reference, *(reached for found, _ in attempts.values() for _, reached in found)], axis=0)
    tol, first = own_tol(task, least)
    runs: dict[str, Callable[[], Answer]] = {} if tol is None else {own: partial(ours, task, tol)}
    tols = {own: "stopped" if tol is None else f"{tol:.0e}"}
    for name, (found, stopped) in attempts.items():
        close = [tol for tol, reached in found if np.all(reached <= least * (1 + GAP))]
        nearest = min((float(np.max(reached / least)) - 1.0 for _, reached in found), default=np.inf)
        tols[name] = f"{close[0]:.0e}" if close else "stopped" if stopped else f"gap {nearest:.0e}"
        if close:
            RIVALS[name][1](task.tiny(), GAP)
            runs[name] = partial(RIVALS[name][1], task, close[0])
    seconds = alternated(runs, own) | {name: MINUTE for name, text in tols.items() if text == "stopped"}
    theirs = {name: took for name, took in seconds.items() if name != own}
    result: dict[str, Any] = {f"seconds of {name}": took for name, took in seconds.items()}
    result |= {f"{name} / ours": took / seconds[own] for name, took in theirs.items()}
    result |= {f"best{suffix} / ours": min(theirs.values()) / seconds[own]} if theirs else {}
    result |= {f"tol of {name}": text for name, text in tols.items()}
    result |= {f"missing: {name}": "not installed" for name in names if name not in there}
    return result | {
        f"reached by {own} at 1e-6": first,
        f"{own} above the least": float(np.max(reference / least)) - 1.0,
        f"proved, {own}": float(np.max(1.0 - bound / least)),
    }


def passes(case: Case) -> dict[str, Any]:
    """Passes and seconds of ours to each tol."""
    task, found = case.task(not case.C), {}
    for tol in PASSES:
        options: dict[str, Any] = {"samples": "rows", "bias": task.bias, "tol": tol, "time_limit": MINUTE}
        took, model = timed(partial(xlogreg.fit, task.X, task.y, l1=float(task.l1[0]), **options))
        info, name = model.fit_info, f"{tol:.0e}".replace("-0", "-")
        selected = int(np.any(model.w != 0, axis=1).sum())
        found[f"to {name}"] = {"passes": info.passes, "seconds": took, "reason": info.reason, "selected": selected}
        if info.reason == "time_limit":
            break
    return found


def measure(case: Case) -> dict[str, Any]:
    if case.path > 1 and "penalties" not in inspect.signature(xlogreg.fit_path).parameters:
        return {}
    result: dict[str, Any] = {} if case.path > 1 else passes(case)
    for bias, names in ((True, case.biased), (False, case.unbiased)):
        result |= raced(case, bias, names) if names else {}
    return result


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
CASES = TALL | MIDDLE | WIDE | ROUND | LONG_DRAWN | WORDS | CLASSES | PATHS
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
    *(at_most(25, case, "to 1e-6", "passes") for case in CLASSES),
    *(at_least(20.0, case, "saga / ours") for case in CLASSES),
]


def main(arguments: list[str] | None = None) -> None:
    sparse.run(__doc__, CASES, measure, BARS, arguments)


if __name__ == "__main__":
    main()
