"""Data for L1 penalties, the libraries that fit them, and the judge of what they find, in float64."""

import importlib.metadata
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from scipy.special import entr, expit, softmax

from benchmarks import sparse
from benchmarks.clock import cores

STEPS = 20  # penalties of a path of adelie to the one that is asked for
Answer = list[tuple[np.ndarray, np.ndarray]]  # w (n_x, k) and b (k,) for each penalty
Folds = list[tuple[np.ndarray, np.ndarray]]  # numbers of the samples of each that train, and of those that test


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
    """X (m, n_x) by rows and again by columns, labels y (m,), penalties l1 (P,), and the largest that counts."""

    X: Any
    columns: Any
    y: np.ndarray
    l1: np.ndarray
    most: float
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
    return Task(X, columns, y, l1, largest(X, y), bias)


def largest(X: Any, y: np.ndarray) -> float:
    """Smallest l1 at which all weights are zero."""
    Y = np.eye(y.max() + 1)[y]
    return float(np.max(np.abs(X.T @ (Y - Y.mean(axis=0))))) / len(y)


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


def by_adelie(task: Task, tol: float, steps: int = 0) -> Answer:
    """Fit all penalties, or the only one along a path of so many."""
    import adelie

    options: dict[str, Any] = {"early_exit": False, "progress_bar": False}  # on one thread, as is its default
    glm = adelie.glm.binomial(y=task.y.astype(float))
    path = np.geomspace(task.most, task.l1[0], steps) if steps else task.l1
    state = adelie.grpnet(task.columns, glm, lmda_path=path, tol=tol, irls_tol=tol, intercept=task.bias, **options)
    found = [(w[:, None], np.ravel(b)) for w, b in zip(state.betas.toarray(), state.intercepts, strict=True)]
    return found[-1:] if steps else found


def by_glum(task: Task, tol: float) -> Answer:
    from glum import GeneralizedLinearRegressor

    options: dict[str, Any] = {"family": "binomial", "l1_ratio": 1.0, "max_iter": 1000, "fit_intercept": task.bias}
    model = GeneralizedLinearRegressor(alpha=task.l1[0], gradient_tol=tol, **options)
    model.fit(task.columns, task.y.astype(float))
    return [(model.coef_[:, None], np.ravel(model.intercept_))]


def saga_across(task: Task, tol: float, folds: Folds) -> None:
    """Fit all penalties without each fold, the folds at once on all cores, and score them."""
    from sklearn.linear_model import LogisticRegressionCV

    Cs = 1 / (task.l1 * len(folds[0][0]))
    options: dict[str, Any] = {"l1_ratios": [1.0], "scoring": "neg_log_loss", "use_legacy_attributes": False}
    options |= {"max_iter": 1_000_000, "random_state": 0, "refit": False, "n_jobs": cores()}
    LogisticRegressionCV(Cs=Cs, cv=folds, solver="saga", tol=tol, **options).fit(task.X, task.y)


def skglm_across(task: Task, tol: float, folds: Folds) -> None:
    """Fit all penalties without each fold, each from the one before."""
    from skglm import SparseLogisticRegression

    for train, _ in folds:
        X, y = np.asfortranarray(task.X[train]), task.y[train]
        model = SparseLogisticRegression(tol=tol, max_iter=1000, warm_start=True)
        for l1 in task.l1:
            model.set_params(alpha=l1).fit(X, y)


RIVALS: dict[str, tuple[str, Callable[[Task, float], Answer]]] = {  # the package, and its fit
    "saga": ("scikit-learn", partial(by_sklearn, "saga")),
    "liblinear": ("scikit-learn", partial(by_sklearn, "liblinear")),
    "skglm": ("skglm", by_skglm),
    "celer": ("celer", by_celer),
    "adelie": ("adelie", by_adelie),
    "adelie along a path": ("adelie", partial(by_adelie, steps=STEPS)),
    "glum": ("glum", by_glum),
}
WAYS = {"adelie": ("adelie", "adelie along a path")}  # to one penalty, of which the best counts
ACROSS: dict[str, tuple[int, Callable[[Task, float, Folds], None]]] = {  # folds at once; a cross-validation
    "saga": (cores(), saga_across),
    "skglm": (1, skglm_across),
}


def version(name: str) -> str | None:
    try:
        return importlib.metadata.version(RIVALS[name][0])
    except importlib.metadata.PackageNotFoundError:
        return None
