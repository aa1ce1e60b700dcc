"""Many models in one call beside scikit-learn: LogisticRegressionCV, or LogisticRegression one by one.

Run: python -m benchmarks.many [--case NAME ...] [--json FILE]

One process, alternately, best of several; the ratio (above 1: ours is faster) is what to read. A rival that takes
long is run once, or on some of the models, and its time multiplied: "models compared" says of how many. "Worse by" is
the largest excess of our cost over the rival's, of any model compared (negative: ours is lower). Passes are the mean
over the models, with what prepared them all.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import PredefinedSplit

import xlogreg
from benchmarks.bars import at_least, at_most
from benchmarks.cases import report

LONG = 10.0  # seconds after which a rival runs once only
PAUSE = 0.2  # seconds before each contestant: the threads of the other one's BLAS spin for a while
FOLDS = 5
CS = np.logspace(-3, 3, 10)
GAP = 1e-6  # of the path
Parameters = dict[int, tuple[np.ndarray, np.ndarray]]  # w (n_x, k) and b (k, 1), by the number of the model


class Case(NamedTuple):
    """X (n_x, m); distinct targets and weights (None: ones), and the l2 of each model; what is timed, by name."""

    X: np.ndarray
    Ys: np.ndarray
    weights: np.ndarray | None
    l2s: np.ndarray
    ours: Callable[["Case"], tuple[Parameters, dict]]
    rivals: dict[str, Callable[["Case", np.ndarray], tuple[Parameters, float]]]  # their times, times a number


def fit_many(case: Case) -> tuple[Parameters, dict]:
    models = xlogreg.fit_many(case.X, case.Ys, l2s=case.l2s, sample_weights=case.weights)
    together = sum(model.fit_info.solver == "batch" for model in models)
    facts = {"passes": np.mean([model.fit_info.passes for model in models]), "together": f"{together} of {len(models)}"}
    return {number: (model.w, model.b) for number, model in enumerate(models)}, facts


def cross_validate(case: Case) -> tuple[Parameters, dict]:
    folds = np.arange(case.X.shape[1]) % FOLDS
    found = xlogreg.fit_cv(case.X, case.Ys[0], 1 / (case.X.shape[1] * CS), folds=folds)
    return {FOLDS * len(CS) + found.chosen: (found.model.w, found.model.b)}, {}


def cross_validate_as_estimator(case: Case, rows: np.ndarray) -> tuple[Parameters, float]:
    return cross_validated(xlogreg.LogisticRegressionCV, "lbfgs")(case, rows)


def cross_validated(kind: type, solver: str) -> Callable:
    """All folds at all penalties, and one refit; models fold by fold, those of all samples last."""

    def run(case: Case, rows: np.ndarray) -> tuple[Parameters, float]:
        folds = PredefinedSplit(np.arange(len(rows)) % FOLDS)
        options = {"l1_ratios": (0.0,), "use_legacy_attributes": False, "scoring": "neg_log_loss", "max_iter": 1000}
        estimator = kind(Cs=CS, cv=folds, solver=solver, **options).fit(rows, case.Ys[0])
        paths = np.reshape(np.asarray(estimator.coefs_paths_), (FOLDS * len(CS), -1))
        found = {number: (theta[:-1, None], theta[-1:, None]) for number, theta in enumerate(paths)}
        chosen = FOLDS * len(CS) + int(np.flatnonzero(CS == estimator.C_)[0])
        return found | {chosen: (estimator.coef_.T, estimator.intercept_[:, None])}, 1.0

    return run


def one_by_one(solver: str, count: int) -> Callable:
    """So many of the models by scikit-learn, and how many times that is all of them."""

    def run(case: Case, rows: np.ndarray) -> tuple[Parameters, float]:
        found = {}
        for model in np.linspace(0, len(case.l2s) - 1, count).astype(int).tolist():
            Y, s = case.Ys[model % len(case.Ys)], None if case.weights is None else case.weights[model]
            total = len(Y) if s is None else float(np.sum(s))
            estimator = LogisticRegression(C=1 / (case.l2s[model] * total), solver=solver, max_iter=10_000)
            estimator.fit(rows, Y, s)
            found[model] = estimator.coef_.T, estimator.intercept_[:, None]
        return found, len(case.l2s) / count

    return run


def one_cold(case: Case, rows: np.ndarray) -> tuple[Parameters, float]:
    """Ours at the weakest penalty, from scratch."""
    number = int(np.argmin(case.l2s))
    model = xlogreg.fit(case.X, case.Ys[0], l2=case.l2s[number], tol=GAP)
    return {number: (model.w, model.b)}, 1.0


def labelled(n_x: int, m: int, g: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    X, W = rng.standard_normal((n_x, m)), rng.standard_normal((n_x, g))
    return X, (rng.random((g, m)) < 1 / (1 + np.exp(-2 * (W / np.linalg.norm(W, axis=0)).T @ X))).astype(int)


def penalties_and_folds() -> Case:
    X, Ys = labelled(100, 50_000, 1)
    folds = np.arange(50_000) % FOLDS
    weights = np.stack([*((folds != fold).astype(float) for fold in range(FOLDS)), np.ones(50_000)])
    l2s = 1 / (np.sum(weights, axis=1)[:, None] * CS)
    rivals = {
        f"LogisticRegressionCV, {solver}": cross_validated(LogisticRegressionCV, solver)
        for solver in ("newton-cholesky", "lbfgs")
    }
    rivals["xlogreg.LogisticRegressionCV"] = cross_validate_as_estimator
    return Case(X, Ys, np.repeat(weights, len(CS), axis=0), l2s.ravel(), cross_validate, rivals)


def targets() -> Case:
    X, _ = labelled(100, 20_000, 1)
    rng = np.random.default_rng(2)  # one against the rest of 500 classes
    W = rng.standard_normal((100, 500))
    chosen = np.argmax(W.T @ X / 5 + rng.gumbel(size=(500, 20_000)), axis=0)
    Ys = (chosen == np.arange(500)[:, None]).astype(int)
    rivals = {"newton-cholesky one by one": one_by_one("newton-cholesky", 25)}
    return Case(X, Ys, None, np.full(500, 1 / 20_000), fit_many, rivals)


def replicates() -> Case:
    X, Ys = labelled(30, 20_000, 1)
    rng = np.random.default_rng(3)  # what the bootstrap draws, too
    counts = np.stack([np.bincount(rng.integers(20_000, size=20_000), minlength=20_000) for _ in range(200)])

    def ours(case: Case) -> tuple[Parameters, dict]:
        found = xlogreg.bootstrap(case.X, case.Ys[0], 200, l2=1 / 20_000, rng=3)
        return dict(enumerate(zip(found.w, found.b, strict=True))), {}

    rivals = {"newton-cholesky one by one": one_by_one("newton-cholesky", 50)}
    return Case(X, Ys, counts.astype(float), np.full(200, 1 / 20_000), ours, rivals)


def softmax_path() -> Case:
    """Features of singular values 1/i, labels from scores of standard deviation 2: a linear probe of a network."""
    n_x, m, K = 384, 20_000, 20
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.standard_normal((n_x, n_x)))[0]
    X = (np.linalg.qr(rng.standard_normal((m, n_x)))[0] * np.sqrt(m) / np.arange(1, n_x + 1) @ turn.T).T
    Z = rng.standard_normal((n_x, K)).T @ X
    Y = np.argmax(2 * Z / np.std(Z) + rng.gumbel(size=Z.shape), axis=0)

    def ours(case: Case) -> tuple[Parameters, dict]:
        path = xlogreg.fit_path(case.X, case.Ys[0], case.l2s, tol=GAP)
        facts = {"passes": np.mean([model.fit_info.passes for model in path])}
        return {number: (model.w, model.b) for number, model in enumerate(path)}, facts

    rivals = {"one cold fit of ours": one_cold, "lbfgs one by one": one_by_one("lbfgs", 5)}
    return Case(np.ascontiguousarray(X), Y[None, :], None, 1 / (m * np.logspace(-6, 5, 45)), ours, rivals)


CASES: dict[str, Callable[[], Case]] = {
    "10 penalties x 5 folds + refit, 50k x 100": penalties_and_folds,
    "500 targets, 20k x 100": targets,
    "200 bootstrap replicates, 20k x 30": replicates,
    "45 penalties, softmax K = 20, 20k x 384, 1/i": softmax_path,
}
FOLDED, TARGETS, REPLICATES, PATH = CASES
BARS = [
    at_least(8.0, "cases", FOLDED, "LogisticRegressionCV, newton-cholesky, ratio"),
    at_least(20.0, "cases", FOLDED, "LogisticRegressionCV, lbfgs, ratio"),
    at_least(30.0, "cases", TARGETS, "newton-cholesky one by one, ratio"),
    at_least(12.0, "cases", REPLICATES, "newton-cholesky one by one, ratio"),
    at_most(8.0, "cases", PATH, "passes"),
    at_least(1 / 6, "cases", PATH, "one cold fit of ours, ratio"),
    at_least(100.0, "cases", PATH, "lbfgs one by one, ratio"),
]


def cost(case: Case, model: int, w: np.ndarray, b: np.ndarray) -> float:
    Y = case.Ys[model % len(case.Ys)]
    s = np.ones(case.X.shape[1]) if case.weights is None else case.weights[model]
    Z = w.T @ case.X + b
    Z = np.concatenate([np.zeros_like(Z), Z]) if len(Z) == 1 else Z
    losses = np.logaddexp.reduce(Z, axis=0) - np.take_along_axis(Z, Y[None, :], axis=0)[0]
    return float(np.sum(s * losses) / np.sum(s) + 0.5 * case.l2s[model] * np.sum(w * w))


def measure(name: str, repeats: int = 3) -> dict[str, object]:
    case = CASES[name]()
    rows = np.ascontiguousarray(case.X.T)
    seconds: dict[str, list[float]] = {"ours": []} | {rival: [] for rival in case.rivals}
    fitted = {}
    for _ in range(repeats):
        time.sleep(PAUSE)
        began = time.perf_counter()
        ours, facts = case.ours(case)
        seconds["ours"].append(time.perf_counter() - began)
        for rival, run in case.rivals.items():
            if not seconds[rival] or min(seconds[rival]) < LONG:
                time.sleep(PAUSE)
                began = time.perf_counter()
                fitted[rival], times = run(case, rows)
                seconds[rival].append((time.perf_counter() - began) * times)
    ours |= fitted.get("xlogreg.LogisticRegressionCV", {})
    found: dict[str, object] = {"case": name, "seconds": min(seconds["ours"])}
    for rival, theirs in fitted.items():
        both = ours.keys() & theirs.keys()
        found[f"{rival}, ratio"] = min(seconds[rival]) / min(seconds["ours"])
        found[f"{rival}, worse by"] = max(cost(case, n, *ours[n]) - cost(case, n, *theirs[n]) for n in both)
        found[f"{rival}, models compared"] = len(both)
    return found | facts


if __name__ == "__main__":
    report(__doc__, CASES, measure, BARS)
