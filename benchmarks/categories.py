"""Tables with categories: codes beside the one-hot columns of SciPy, and fits of whole tables beside scikit-learn's.

Run: python -m benchmarks.categories [--case TEXT ...] [--json FILE]

"pass" and "Hessian" are W'X and X V of the codes, and the sum of a Hessian, beside the same products of SciPy's CSR of
one-hot columns with 32-bit indices, in one thread. "one-hot" is that CSR, fitted by this library. Whole
fits start from a frame of pandas whose columns are of the dtype "category", for scikit-learn by OneHotEncoder and
the loosest tol at which the cost comes within 1e-6 of the minimum; l2 = 1/m. glum takes the frame itself. One process,
alternately, best of three or more. "MB of X" is what the matrix holds for all samples.
"""

import tracemalloc
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas
import scipy.sparse
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import xlogreg
from benchmarks.bars import at_least, at_most
from benchmarks.sparse import GAP, LONG, MB, TOLS, cost, timed
from benchmarks.sparse import run as run_cases
from xlogreg.arrays import products
from xlogreg.arrays.place import HOST
from xlogreg.inputs.columns import TableOptions
from xlogreg.inputs.door import learn_features

ROUNDS = 3
SOLVERS = ("newton-cholesky", "newton-cg", "lbfgs", "liblinear")
CHOLESKY = 1000  # features up to which newton-cholesky is tried; it takes n_x^3 operations a step


class Table(NamedTuple):
    """m rows of ``numbers`` numeric columns and a categorical column for each of ``levels``."""

    m: int
    numbers: int
    levels: tuple[int, ...]
    even: bool = True  # whether levels are equally frequent; otherwise by Zipf's law

    def drawn(self) -> tuple[pandas.DataFrame, np.ndarray]:
        rng = np.random.default_rng(0)
        columns: dict[str, Any] = {f"x{j}": rng.standard_normal(self.m) for j in range(self.numbers)}
        z = sum(columns.values()) * 0.3 - 1.0 if self.numbers else np.full(self.m, -1.0)
        for j, count in enumerate(self.levels):
            shares = np.ones(count) if self.even else 1.0 / np.arange(1, count + 1)
            codes = rng.choice(count, self.m, p=shares / shares.sum())
            z = z + 0.5 * rng.standard_normal(count)[codes]
            columns[f"c{j}"] = pandas.Categorical.from_codes(codes, [f"level {i:04}" for i in range(count)])
        return pandas.DataFrame(columns), (z + rng.logistic(size=self.m) > 0).astype(int)


CASES = {
    "1M x 5 of 1,000 levels": Table(1_000_000, 0, (1000,) * 5),
    "1M x 5 of 1,000 levels by Zipf": Table(1_000_000, 0, (1000,) * 5, even=False),
    "1M x 5 of 200 levels": Table(1_000_000, 0, (200,) * 5),
    "500k x 10 numbers and 2 to 100 levels": Table(500_000, 10, (2, 5, 10, 20, 50, 100)),
    "5k x 10 numbers and 2 to 20 levels": Table(5_000, 10, (2, 5, 10, 20)),
}
LARGE = next(iter(CASES))
BARS = [
    at_most(1.3, LARGE, "pass / SciPy's"),
    at_least(15.0, LARGE, "SciPy's Hessian / ours"),
    at_least(2.0, LARGE, "one-hot / ours"),
    at_least(5.0, LARGE, "best of scikit-learn / ours"),
    at_most(10.5, LARGE, "MB of X"),
]


def theirs(table: pandas.DataFrame, y: np.ndarray, solver: str, tol: float) -> Any:
    named = table.columns[table.dtypes == "category"].tolist()
    encoder = make_column_transformer((OneHotEncoder(), named), remainder="passthrough")
    return make_pipeline(encoder, LogisticRegression(solver=solver, tol=tol, max_iter=3000)).fit(table, y)


def by_glum(table: pandas.DataFrame, y: np.ndarray) -> Any:
    import glum

    model = glum.GeneralizedLinearRegressor(family="binomial", alpha=1.0 / len(y), l1_ratio=0.0, gradient_tol=1e-5)
    return model.fit(table, y.astype(float))


def best(run: Any, rounds: int = ROUNDS) -> float:
    return min(timed(run)[0] for _ in range(rounds))


def of_products(table: Table, X: Any, A: Any) -> dict[str, float]:
    """Compare the products of the codes with those of SciPy, in one thread."""
    rng = np.random.default_rng(1)
    w, v, b = rng.standard_normal((X.n_x, 1)), rng.random((table.m, 1)), np.zeros((1, 1))
    block = X.converted(X.cut(0, table.m, HOST), HOST, "float64", None, False)
    ours = best(lambda: products.scores(block, w, b)) + best(lambda: products.combine(block, v))
    scipys = best(lambda: A @ w[:, 0]) + best(lambda: A.T @ v[:, 0])
    hessian = best(lambda: products.gram(block, v.T[None]), 2)
    return {
        "pass / SciPy's": ours / scipys,
        "SciPy's Hessian / ours": best(lambda: (A.T @ A.multiply(v)).toarray(), 2) / hessian,
        "Hessian in seconds": hessian,
        "MB of X": X.nbytes / MB,
        "MB of the one-hot": (A.data.nbytes + A.indices.nbytes + A.indptr.nbytes) / MB,
    }


def measure(table: Table) -> dict[str, Any]:
    frame, y = table.drawn()
    m, named = len(frame), [name for name in frame.columns if name.startswith("c")]
    features = learn_features(frame, "rows", TableOptions(categorical_features=named))
    A = scipy.sparse.csr_array(features.X.host_rows(np.arange(m)))
    A = scipy.sparse.csr_array(
        (A.data.astype(np.float64), A.indices.astype(np.int32), A.indptr.astype(np.int32)), shape=A.shape
    )
    result: dict[str, Any] = {"features": A.shape[1]} | ({} if features.X.dense else of_products(table, features.X, A))
    fit = partial(xlogreg.fit, frame, y, l2=1 / m, samples="rows", categorical_features="from_dtype")
    one_hot = partial(xlogreg.fit, A, y, l2=1 / m, samples="rows")
    prepared = partial(xlogreg.fit, features.X, y, l2=1 / m, samples="rows") if not features.X.dense else fit
    model = fit()
    least = cost(A, y, model.w, model.b, 1 / m)
    runs: dict[str, Any] = {"ours": fit, "ours, codes at hand": prepared, "ours, one-hot at hand": one_hot}
    found = {name: [timed(run)[0]] for name, run in runs.items()}
    for solver in SOLVERS:
        if solver == "newton-cholesky" and A.shape[1] > CHOLESKY:
            continue
        for tol in TOLS:
            run = partial(theirs, frame, y, solver, tol)
            took, fitted = timed(run)
            answer = fitted[-1].coef_.T, fitted[-1].intercept_
            order = np.argsort(_order(named, features, frame))
            if cost(A, y, answer[0][order], answer[1], 1 / m) <= least * (1 + GAP):
                runs[solver], found[solver] = run, [took]
                break
            if took > LONG:
                break
    if A.shape[1] <= CHOLESKY:
        runs["glum"], found["glum"] = partial(by_glum, frame, y), [timed(partial(by_glum, frame, y))[0]]
    for _ in range(ROUNDS):
        for name, run in runs.items():
            if found[name][0] < LONG:
                found[name].append(timed(run)[0])
    seconds = {name: min(took) for name, took in found.items()}
    sklearn = [took for name, took in seconds.items() if name in SOLVERS]
    result |= {"seconds": seconds, "best of scikit-learn / ours": min(sklearn) / seconds["ours"]}
    result["one-hot / ours"] = seconds["ours, one-hot at hand"] / seconds["ours, codes at hand"]
    result |= {"solver": model.fit_info.solver, "passes": model.fit_info.passes, "gap": model.fit_info.gap}
    tracemalloc.start()
    fit()
    result["MB above the frame"] = tracemalloc.get_traced_memory()[1] / MB
    tracemalloc.stop()
    return result


def _order(named: list[str], features: Any, frame: pandas.DataFrame) -> np.ndarray:
    """Find the feature of ours for each column of scikit-learn's, whose transformer puts categories first."""
    terms = {term.name: term.rows for term in features.encoding.terms}
    others = [name for name in frame.columns if name not in named]
    return np.concatenate([terms[name] for name in [*named, *others]])


def main(arguments: list[str] | None = None) -> None:
    run_cases(__doc__, CASES, measure, BARS, arguments)


if __name__ == "__main__":
    main()
