"""Many models in one call beside scikit-learn: LogisticRegressionCV, or LogisticRegression one by one.

Run: python -m benchmarks.many [--case NAME ...] [--json FILE]

One process, alternately, best of several; the ratio (above 1: ours is faster) is what to read. All take X as rows, a
C-ordered (m, n_x) array. Of a cross-validation by scikit-learn, the loosest tol counts at which the costs of all models
come within 1e-6 of ours. A rival that takes long is run once, or on some of the models, and its time multiplied:
"models compared" says of how many. "Worse by" is the largest excess of our cost over the rival's, of any model compared
(negative: ours is lower). Passes are the mean over the models, with what prepared them all.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import PredefinedSplit

import xlogreg
from benchmarks.bars import at_least, at_most
from benchmarks.cases import report
from benchmarks.clock import timed
from benchmarks.problems import shapes

LONG = 10.0  # seconds after which a rival runs once only
PAUSE = 0.2  # seconds before each contestant: the threads of the other one's BLAS spin for a while
FOLDS = 5
CS = np.logspace(-3, 3, 10)
GAP = 1e-6  # of the path, and of the cost that a rival has to come near to
ESTIMATOR = "xlogreg.LogisticRegressionCV"
TOLS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-8)
Parameters = dict[int, tuple[np.ndarray, np.ndarray]]  # w (n_x, k) and b (k, 1), by the number of the model


class Case(NamedTuple):
    """X (m, n_x); distinct targets and weights (None: ones), and the l2 of each model; what is timed, by name.

    The rivals give their models, and a number that their time is multiplied by. Where there are several ways to run
    one, by name, the first counts that comes near enough. ``Cs`` are the penalties of a cross-validation.
    """

    X: np.ndarray
    Ys: np.ndarray
    weights: np.ndarray | None
    l2s: np.ndarray
    ours: Callable[["Case"], tuple[Parameters, dict]]
    rivals: dict[str, dict[str, Callable[["Case"], tuple[Parameters, float]]]]
    Cs: np.ndarray = CS


def fit_many(case: Case) -> tuple[Parameters, dict]:
    models = xlogreg.fit_many(case.X, case.Ys.T, l2s=case.l2s, sample_weights=case.weights, samples="rows")
    together = sum(model.fit_info.solver == "batch" for model in models)
    facts = {"passes": np.mean([model.fit_info.passes for model in models]), "together": f"{together} of {len(models)}"}
    return {number: (model.w, model.b) for number, model in enumerate(models)}, facts


def cross_validate(case: Case) -> tuple[Parameters, dict]:
    m = len(case.X)
    found = xlogreg.fit_cv(case.X, case.Ys[0], 1 / (m * case.Cs), folds=np.arange(m) % FOLDS, samples="rows")
    return {FOLDS * len(case.Cs) + found.chosen: (found.model.w, found.model.b)}, {}


def cross_validated(kind: type, **options: object) -> Callable:
    """All folds at all penalties, and one refit; models fold by fold, those of all samples last."""

    def run(case: Case) -> tuple[Parameters, float]:
        folds = PredefinedSplit(np.arange(len(case.X)) % FOLDS)
        shared = {"l1_ratios": (0.0,), "use_legacy_attributes": False, "scoring": "neg_log_loss", "max_iter": 1000}
        estimator = kind(Cs=case.Cs, cv=folds, **shared, **options).fit(case.X, case.Ys[0])
        count = FOLDS * len(case.Cs)
        paths = np.reshape(np.asarray(estimator.coefs_paths_), (count, -1, case.X.shape[1] + 1))
        found = {number: (theta[:, :-1].T, theta[:, -1:]) for number, theta in enumerate(paths)}
        chosen = count + int(np.flatnonzero(case.Cs == estimator.C_)[0])
        return found | {chosen: (estimator.coef_.T, estimator.intercept_[:, None])}, 1.0

    return run


def one_by_one(solver: str, count: int) -> Callable:
    """So many of the models by scikit-learn, and how many times that is all of them."""

    def run(case: Case) -> tuple[Parameters, float]:
        found = {}
        for model in np.linspace(0, len(case.l2s) - 1, count).astype(int).tolist():
            Y, s = case.Ys[model % len(case.Ys)], None if case.weights is None else case.weights[model]
            total = len(Y) if s is None else float(np.sum(s))
            estimator = LogisticRegression(C=1 / (case.l2s[model] * total), solver=solver, max_iter=10_000)
            estimator.fit(case.X, Y, s)
            found[model] = estimator.coef_.T, estimator.intercept_[:, None]
        return found, len(case.l2s) / count

    return run


def one_cold(case: Case) -> tuple[Parameters, float]:
    """Ours at the weakest penalty, from scratch."""
    number = int(np.argmin(case.l2s))
    model = xlogreg.fit(case.X, case.Ys[0], l2=case.l2s[number], tol=GAP, samples="rows")
    return {number: (model.w, model.b)}, 1.0


def labelled(n_x: int, m: int, g: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    X, W = rng.standard_normal((m, n_x)), rng.standard_normal((n_x, g))
    return X, (rng.random((g, m)) < 1 / (1 + np.exp(-2 * (X @ (W / np.linalg.norm(W, axis=0))).T))).astype(int)


def penalties_and_folds(X: np.ndarray, y: np.ndarray, Cs: np.ndarray, *solvers: str) -> Case:
    """The estimator of ours comes first, since the others have to come near its models."""
    m = len(y)
    folds = np.arange(m) % FOLDS
    weights = np.stack([*((folds != fold).astype(float) for fold in range(FOLDS)), np.ones(m)])
    l2s = 1 / (np.sum(weights, axis=1)[:, None] * Cs)
    rivals = {ESTIMATOR: {"": cross_validated(xlogreg.LogisticRegressionCV)}}
    for solver in solvers:
        ways = {f"tol {tol:g}": cross_validated(LogisticRegressionCV, solver=solver, tol=tol) for tol in TOLS}
        rivals[f"LogisticRegressionCV, {solver}"] = ways
    return Case(X, y[None, :], np.repeat(weights, len(Cs), axis=0), l2s.ravel(), cross_validate, rivals, Cs)


def folded(m: int, n_x: int) -> Case:
    X, Ys = labelled(n_x, m, 1)
    return penalties_and_folds(X, Ys[0], CS, "newton-cholesky", "lbfgs")


def folded_pictures() -> Case:
    """As `xlogreg images fit` does it; a Hessian of 9,219 parameters is nothing for newton-cholesky."""
    pictures, y = shapes(209, 32, 1)
    order = np.random.default_rng(1).permutation(len(y))  # or folds would be in step with classes
    X = pictures.reshape(len(y), -1)[order] / 255
    return penalties_and_folds(X, y[order], 1 / (len(y) * np.logspace(2, -4, 7)), "newton-cg", "lbfgs")


def targets() -> Case:
    X, _ = labelled(100, 20_000, 1)
    rng = np.random.default_rng(2)  # one against the rest of 500 classes
    W = rng.standard_normal((100, 500))
    chosen = np.argmax((X @ W).T / 5 + rng.gumbel(size=(500, 20_000)), axis=0)
    Ys = (chosen == np.arange(500)[:, None]).astype(int)
    rivals = {"newton-cholesky one by one": {"": one_by_one("newton-cholesky", 25)}}
    return Case(X, Ys, None, np.full(500, 1 / 20_000), fit_many, rivals)


def replicates() -> Case:
    X, Ys = labelled(30, 20_000, 1)
    rng = np.random.default_rng(3)  # what the bootstrap draws, too
    counts = np.stack([np.bincount(rng.integers(20_000, size=20_000), minlength=20_000) for _ in range(200)])

    def ours(case: Case) -> tuple[Parameters, dict]:
        found = xlogreg.bootstrap(case.X, case.Ys[0], 200, l2=1 / 20_000, samples="rows", rng=3)
        return dict(enumerate(zip(found.w, found.b, strict=True))), {}

    rivals = {"newton-cholesky one by one": {"": one_by_one("newton-cholesky", 50)}}
    return Case(X, Ys, counts.astype(float), np.full(200, 1 / 20_000), ours, rivals)


def softmax_path() -> Case:
    """Features of singular values 1/i, labels from scores of standard deviation 2: a linear probe of a network."""
    n_x, m, K = 384, 20_000, 20
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.standard_normal((n_x, n_x)))[0]
    X = np.linalg.qr(rng.standard_normal((m, n_x)))[0] * np.sqrt(m) / np.arange(1, n_x + 1) @ turn.T
    Z = (X @ rng.standard_normal((n_x, K))).T
    Y = np.argmax(2 * Z / np.std(Z) + rng.gumbel(size=Z.shape), axis=0)

    def ours(case: Case) -> tuple[Parameters, dict]:
        path = xlogreg.fit_path(case.X, case.Ys[0], case.l2s, tol=GAP, samples="rows")
        facts = {"passes": np.mean([model.fit_info.passes for model in path])}
        return {number: (model.w, model.b) for number, model in enumerate(path)}, facts

    rivals = {"one cold fit of ours": {"": one_cold}, "lbfgs one by one": {"": one_by_one("lbfgs", 5)}}
    return Case(X, Y[None, :], None, 1 / (m * np.logspace(-6, 5, 45)), ours, rivals)


CASES: dict[str, Callable[[], Case]] = {
    "10 penalties x 5 folds + refit, 50k x 100": partial(folded, 50_000, 100),
    "10 penalties x 5 folds + refit, 1k x 20": partial(folded, 1_000, 20),
    "7 penalties x 5 folds + refit, softmax K = 3, 209 x 3,072 pictures": folded_pictures,
    "500 targets, 20k x 100": targets,
    "200 bootstrap replicates, 20k x 30": replicates,
    "45 penalties, softmax K = 20, 20k x 384, 1/i": softmax_path,
}
FOLDED, _, _, TARGETS, REPLICATES, PATH = CASES
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
    s = np.ones(len(case.X)) if case.weights is None else case.weights[model]
    Z = (case.X @ w).T + b
    Z = np.concatenate([np.zeros_like(Z), Z]) if len(Z) == 1 else Z
    losses = np.logaddexp.reduce(Z, axis=0) - np.take_along_axis(Z, Y[None, :], axis=0)[0]
    return float(np.sum(s * losses) / np.sum(s) + 0.5 * case.l2s[model] * np.sum(w * w))


def excess(case: Case, those: Parameters, these: Parameters) -> dict[int, tuple[float, float]]:
    """Of each model of both: how much higher the cost of those is than that of these, and the latter."""
    costs = {model: cost(case, model, *these[model]) for model in those.keys() & these.keys()}
    return {model: (cost(case, model, *those[model]) - here, here) for model, here in costs.items()}


def near(case: Case, theirs: Parameters, ours: Parameters) -> bool:
    return all(more <= GAP * here for more, here in excess(case, theirs, ours).values())


def measure(name: str, repeats: int = 3) -> dict[str, object]:
    case = CASES[name]()
    first, (ours, facts) = timed(partial(case.ours, case))
    seconds, runs, fitted = {"ours": [first]}, {}, {}
    for rival, ways in case.rivals.items():
        for way, run in ways.items():
            time.sleep(PAUSE)
            took, (models, times) = timed(partial(run, case))
            facts |= {f"{rival}, way": way} if way else {}
            if len(ways) == 1 or near(case, models, ours):
                break
        runs[rival], fitted[rival], seconds[rival] = run, models, [took * times]
        ours |= models if rival == ESTIMATOR else {}
    for _ in range(repeats - 1):
        time.sleep(PAUSE)
        seconds["ours"].append(timed(partial(case.ours, case))[0])
        for rival, run in runs.items():
            if min(seconds[rival]) < LONG:
                time.sleep(PAUSE)
                took, (_, times) = timed(partial(run, case))
                seconds[rival].append(took * times)
    found: dict[str, object] = {"case": name, "seconds": min(seconds["ours"])}
    for rival, theirs in fitted.items():
        more = [-more for more, _ in excess(case, theirs, ours).values()]
        found[f"{rival}, ratio"] = min(seconds[rival]) / min(seconds["ours"])
        found[f"{rival}, worse by"] = max(more)
        found[f"{rival}, models compared"] = len(more)
    return found | facts


if __name__ == "__main__":
    report(__doc__, CASES, measure, BARS)
