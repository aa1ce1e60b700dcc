"""Covariances of the parameters: their definitions in extended precision, weights, clusters, penalties, and sources."""

import numpy as np
import pytest
import scipy.sparse
from conftest import cut

import xlogreg
from xlogreg.arrays.place import to_host
from xlogreg.inference import sandwich
from xlogreg.samples.memory import InMemory

EXTENDED = np.longdouble


@pytest.fixture(scope="module")
def data():
    """X (3, 150), Y and Y of three classes, whole weights and clusters."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((3, 150)) * np.asarray([[1.0], [4.0], [0.2]]) + np.asarray([[0.0], [3.0], [-1.0]])
    Y = (rng.random(150) < 1 / (1 + np.exp(-X[0] + 0.3 * X[1] - 1.0))).astype(int)
    return X, Y, rng.integers(0, 3, 150), rng.integers(1, 4, 150).astype(float), rng.integers(0, 12, 150)


def inverse(A):
    """Invert by Gauss-Jordan in the dtype of A, which LAPACK has not."""
    p = len(A)
    both = np.concatenate([A, np.eye(p, dtype=A.dtype)], axis=1)
    for i in range(p):
        pivot = i + int(np.argmax(np.abs(both[i:, i])))
        both[[i, pivot]] = both[[pivot, i]]
        both[i] = both[i] / both[i, i]
        for j in range(p):
            if j != i:
                both[j] = both[j] - both[j, i] * both[i]
    return both[:, p:]


def by_hand(model, X, Y, kind, weight=None, importance=False, groups=None, ridge=0.0):
    """The covariance of contrasts to the first class ((n_x + 1) (K - 1)), sample by sample, in extended precision."""
    K = len(model.classes)
    w, b = (to_host(part).astype(EXTENDED) for part in (model.w, model.b))
    W = np.concatenate([w, b.T])
    W = W if K > 2 else np.concatenate([np.zeros_like(W), W], axis=1)
    rows = np.concatenate([X, np.ones((1, X.shape[1]))]).astype(EXTENDED)
    Z = W.T @ rows
    P = np.exp(Z - Z.max(axis=0))
    P = P / P.sum(axis=0)
    hot = np.eye(K, dtype=EXTENDED)[:, Y] if np.ndim(Y) == 1 else np.asarray(Y, EXTENDED)
    s = np.ones(X.shape[1], EXTENDED) if weight is None else weight.astype(EXTENDED)
    p = len(rows) * (K - 1)
    F, M = np.zeros((p, p), EXTENDED), np.zeros((p, p), EXTENDED)
    scores = np.zeros((p, X.shape[1]), EXTENDED)
    for i in range(X.shape[1]):
        xx = np.outer(rows[:, i], rows[:, i])
        F += s[i] * np.kron(xx, (np.diag(P[:, i]) - np.outer(P[:, i], P[:, i]))[1:, 1:])
        scores[:, i] = s[i] * np.kron(rows[:, i], (hot[:, i] - P[:, i])[1:])
        for j in range(K):
            unit = np.eye(K, dtype=EXTENDED)[j] - P[:, i]
            M += s[i] * hot[j, i] * np.kron(xx, np.outer(unit, unit)[1:, 1:])
    n = X.shape[1] if importance else s.sum()
    if importance:
        M = scores @ scores.T
    if groups is not None:
        sums = np.stack([scores[:, groups == g].sum(axis=1) for g in np.unique(groups)], axis=1)
        G = sums.shape[1]
        M = sums @ sums.T * (EXTENDED(G) / (G - 1) * (n - 1) / (n - p))
    stiff = np.append(np.broadcast_to(np.asarray(ridge, EXTENDED), len(rows) - 1), 0.0) * s.sum()
    V = inverse(F + np.diag(np.repeat(stiff, K - 1)))
    if kind == "fisher" or kind == "posterior":
        return V
    if kind == "penalised":
        return V @ F @ V
    return V @ M @ V * (n / (n - p) if kind == "HC1" else 1)


def contrasts(model, covariance):
    """The covariance of contrasts to the first class."""
    K = len(model.classes)
    if K == 2:
        return covariance.matrix
    D = np.eye(K)[:, 1:] - np.eye(K)[:, :1]
    return sandwich.reduced(covariance.matrix, D, model.w.shape[0] + 1)


def close(found, expected, rtol=1e-10):
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected))).astype(float)
    np.testing.assert_allclose(found / scale, expected.astype(float) / scale, atol=rtol, rtol=0)


CASES = [("fisher", None), ("HC0", None), ("HC1", None), ("cluster", None)]
CASES += [(kind, "frequency") for kind in ("fisher", "HC0", "HC1", "cluster")]
CASES += [(kind, "importance") for kind in ("HC0", "HC1", "cluster")]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(("kind", "weights"), CASES)
def test_covariances_have_their_definitions(data, kind, weights, classes):
    X, two, three, s, groups = data
    Y = two if classes == 2 else three
    weight = None if weights is None else s
    model = xlogreg.fit(X, Y, sample_weight=weight, tol=1e-15)
    groups = groups if kind == "cluster" else None
    found = model.covariance_of(X, Y, kind=kind, groups=groups, sample_weight=weight, weights=weights or "frequency")
    expected = by_hand(model, X, Y, kind, weight, weights == "importance", groups)
    close(contrasts(model, found), expected)
    assert found.parameters == 4 * (classes - 1) == found.effective_parameters
    assert found.n == (s.sum() if weights == "frequency" else 150)
    assert found.groups == (12 if kind == "cluster" else None)


@pytest.mark.parametrize("kind", ["fisher", "HC0", "HC1", "cluster"])
def test_frequency_weights_are_as_good_as_repeated_samples(data, kind):
    X, Y, three, s, groups = data
    again = np.repeat(np.arange(150), s.astype(int))
    for labels in (Y, three):
        weighted = xlogreg.fit(X, labels, sample_weight=s)
        repeated = xlogreg.fit(X[:, again], labels[again])
        one, other = ({"groups": groups}, {"groups": groups[again]}) if kind == "cluster" else ({}, {})
        found = weighted.covariance_of(X, labels, kind=kind, sample_weight=s, **one)
        close(found.matrix, repeated.covariance_of(X[:, again], labels[again], kind=kind, **other).matrix, 1e-7)


def test_grouped_counts_are_proportions_with_frequency_weights_or_rows_with_importance_weights(data):
    X, _, _, s, _ = data
    trials = 10.0 * s
    rng = np.random.default_rng(0)
    successes = rng.binomial(trials.astype(int), 1 / (1 + np.exp(-0.5 * X[0])))
    shares = xlogreg.fit(X, successes / trials, targets="probabilities", sample_weight=trials)
    every = np.concatenate([X, X], axis=1), np.repeat([1, 0], 150), np.concatenate([successes, trials - successes])
    rows = xlogreg.fit(*every[:2], sample_weight=every[2])
    of_shares = shares.covariance_of(X, successes / trials, kind="HC0", sample_weight=trials, targets="probabilities")
    of_rows = rows.covariance_of(*every[:2], kind="HC0", sample_weight=every[2])
    close(of_shares.matrix, of_rows.matrix, 1e-7)
    # each row of counts is one observation that depends within itself: its scores add up first
    one = rows.covariance_of(
        *every[:2], kind="cluster", groups=np.tile(np.arange(150), 2), sample_weight=every[2], weights="importance"
    )
    own = shares.covariance_of(
        X, successes / trials, kind="HC0", sample_weight=trials, weights="importance", targets="probabilities"
    )
    close(one.matrix / (150 / 149 * 299 / 296), own.matrix, 1e-7)


@pytest.mark.parametrize("kind", ["penalised", "posterior"])
@pytest.mark.parametrize(
    "options", [{}, {"standardize": True}, {"standardize": 3.0}, {"penalty_factor": [1.0, 0.0, 2.5]}], ids=str
)
def test_covariances_under_a_penalty_have_their_definitions(data, kind, options):
    X, Y, _, s, _ = data
    scale = X.std(axis=1) if options.get("standardize") is True else options.get("standardize", 1.0)
    ridge = 0.05 * np.asarray(options.get("penalty_factor", np.ones(3))) * np.asarray(scale) ** 2
    model = xlogreg.fit(X, Y, l2=0.05, tol=1e-15, **options)
    close(model.covariance_of(X, Y, kind=kind).matrix, by_hand(model, X, Y, kind, ridge=ridge))
    weighted = xlogreg.fit(X, Y, l2=0.05, tol=1e-15, sample_weight=s, **(options if scale is not True else {}))
    if options.get("standardize") is not True:
        found = weighted.covariance_of(X, Y, kind=kind, sample_weight=s)
        close(found.matrix, by_hand(weighted, X, Y, kind, s, ridge=ridge))
        assert 1.0 < found.effective_parameters < 4.0


def test_the_posterior_of_a_softmax_is_the_curvature_of_its_penalised_likelihood(data):
    X, _, Y, _, _ = data
    model = xlogreg.fit(X, Y, l2=0.05, tol=1e-15)
    V = model.covariance_of(X, Y, kind="posterior").matrix.reshape(4, 3, 4, 3)
    np.testing.assert_allclose(V.sum(axis=1), 0.0, atol=1e-12)
    # along a centred direction, the inverse of V is the second difference of m J
    basis = np.kron(np.eye(4), np.linalg.qr((np.eye(3) - 1 / 3)[:, 1:])[0])
    curvature = np.linalg.inv(basis.T @ V.reshape(12, 12) @ basis)
    theta = np.concatenate([model.w, model.b.T])

    def objective(step):
        W = theta + (basis @ step).reshape(4, 3)
        Z = W[:-1].T @ X + W[-1:].T
        return np.sum(np.log(np.exp(Z).sum(axis=0)) - Z[Y, np.arange(150)]) + 150 * 0.025 * np.sum(W[:-1] ** 2)

    h, units = 1e-4, np.eye(8)
    for i in range(8):
        e = h * units[i]
        second = (objective(e) - 2 * objective(0 * e) + objective(-e)) / h**2
        assert second == pytest.approx(curvature[i, i], rel=1e-4)


@pytest.mark.parametrize("samples", ["columns", "rows"])
@pytest.mark.parametrize("kind", ["HC0", "cluster"])
def test_covariances_are_the_same_on_every_namespace(where, data, kind, samples):
    X, two, three, s, groups = data
    X = where.asarray(X if samples == "columns" else X.T)
    for Y in (two, three):
        model = xlogreg.fit(X, Y, samples=samples, sample_weight=where.asarray(s))
        given = {"kind": kind, "groups": groups if kind == "cluster" else None, "sample_weight": where.asarray(s)}
        found = contrasts(model, model.covariance_of(X, Y, **given))
        host = to_host(X) if samples == "columns" else to_host(X).T
        expected = by_hand(model, host, Y, kind, s, groups=given["groups"])
        close(found, expected, 1e-9 if where.dtype == "float64" else 1e-3)


def test_covariances_come_from_any_source(data, tmp_path):
    X, Y, _, _, groups = data
    model = xlogreg.fit(X.T, Y, samples="rows")
    expected = {
        kind: model.covariance_of(X.T, Y, kind=kind, groups=groups if kind == "cluster" else None).matrix
        for kind in ("fisher", "HC0", "cluster")
    }
    np.save(tmp_path / "X.npy", X.T)
    (tmp_path / "parts").mkdir()
    np.save(tmp_path / "parts" / "0.npy", X.T[:70])
    np.save(tmp_path / "parts" / "1.npy", X.T[70:])

    def factory():
        return iter([(X.T[:60], Y[:60]), (X.T[60:], Y[60:])])

    sources = {
        "map": (np.load(tmp_path / "X.npy", mmap_mode="r"), Y),
        "parts": (xlogreg.open_parts(tmp_path / "parts", samples="rows"), Y),
        "factory": (factory, None),
        "sparse": (scipy.sparse.csr_array(X.T), Y),
    }
    for source in sources.values():
        for kind, matrix in expected.items():
            found = model.covariance_of(*source, kind=kind, groups=groups if kind == "cluster" else None)
            close(found.matrix, matrix)


def test_clusters_without_weight_do_not_count(data):
    X, Y, _, _, groups = data
    weight = (groups < 6).astype(float)
    model, there = xlogreg.fit(X, Y, sample_weight=weight), groups < 6
    sparse = scipy.sparse.csc_array(X)
    alone = xlogreg.fit(X[:, there], Y[there]).covariance_of(
        X[:, there], Y[there], kind="cluster", groups=groups[there]
    )
    for given in (X, sparse):
        found = model.covariance_of(given, Y, kind="cluster", groups=groups, sample_weight=weight)
        assert found.groups == 6
        close(found.matrix, alone.matrix, 1e-7)
    one = (groups < 1).astype(float)
    model = xlogreg.fit(X[:1], Y, sample_weight=one)
    with pytest.raises(ValueError, match="groups holds 1 cluster whose samples have weight"):
        model.covariance_of(X[:1], Y, kind="cluster", groups=groups, sample_weight=one)


def test_one_pass_gives_a_covariance_and_two_where_means_are_large(data, monkeypatch):
    X, Y, *_ = data
    passes = []

    def counted(source, function, *arguments, sum=InMemory.sum):
        passes.append(function.__name__)
        return sum(source, function, *arguments)

    monkeypatch.setattr(InMemory, "sum", counted)
    for shift, kind, expected in (
        (0.0, "fisher", ["hessian_terms"]),
        (0.0, "HC0", ["frequency_terms"]),
        (1e5, "HC0", ["frequency_terms"] * 2),
    ):
        model = xlogreg.fit(X + shift, Y)
        passes.clear()
        model.covariance_of(X + shift, Y, kind=kind)
        assert passes == expected


def test_parts_of_a_table_in_files_have_the_covariance_of_the_whole(tmp_path):
    polars = pytest.importorskip("polars", reason="polars is not installed")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    rng = np.random.default_rng(6)
    columns = {"age": rng.normal(50, 10, 400), "city": rng.choice(["Oslo", "Paris", "Rome"], 400)}
    table, Y = polars.DataFrame(columns), rng.integers(0, 2, 400)
    for number in range(2):
        table[200 * number : 200 * (number + 1)].write_parquet(tmp_path / f"{number}.parquet")
    parts = xlogreg.open_parts(tmp_path)
    model = xlogreg.fit(parts, Y, samples="rows", categorical_features=["city"])
    groups = np.arange(400) % 30
    for kind, options in (("HC0", {}), ("cluster", {"groups": groups})):
        expected = model.covariance_of(table, Y, kind=kind, **options)
        close(model.covariance_of(parts, Y, kind=kind, **options).matrix, expected.matrix)


def test_the_workers_of_a_dask_cluster_add_up_covariances(client, data):
    X, two, three, s, groups = data
    for Y in (two, three):
        model = xlogreg.fit(X, Y, sample_weight=s)
        for kind, options in (("fisher", {}), ("HC0", {}), ("cluster", {"groups": groups})):
            expected = model.covariance_of(X, Y, kind=kind, sample_weight=s, **options).matrix
            close(model.covariance_of(cut(X), Y, kind=kind, sample_weight=s, **options).matrix, expected)


def test_a_table_with_categories_has_the_covariance_of_its_features():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    rng = np.random.default_rng(4)
    table = pandas.DataFrame({"age": rng.normal(50, 10, 900), "city": [f"city {n}" for n in rng.integers(0, 40, 900)]})
    Y, groups = rng.integers(0, 2, 900), rng.integers(0, 70, 900)
    model = xlogreg.fit(table, Y, samples="rows", categorical_features=["city"])
    levels = sorted(table["city"].unique())[1:]
    X = np.stack([table["age"], *(table["city"] == level for level in levels)]).astype(float)
    dense = xlogreg.fit(X, Y)
    for kind, options in (("HC0", {}), ("cluster", {"groups": groups})):
        found = model.covariance_of(table, Y, kind=kind, **options)
        close(found.matrix, dense.covariance_of(X, Y, kind=kind, **options).matrix, 1e-7)


def test_a_constant_that_is_added_to_a_feature_moves_the_bias_only(data):
    X, Y, *_ = data
    for shift in (2020.0, 1e6):
        model = xlogreg.fit(X + shift, Y)
        here, moved = (xlogreg.fit(X, Y).covariance_of(X, Y, kind="HC0"), model.covariance_of(X + shift, Y, kind="HC0"))
        close(moved.matrix[:3, :3], here.matrix[:3, :3], 1e-6)


WRONG = [
    ({"kind": "HC9"}, "kind must be"),
    ({"kind": "cluster"}, "kind='cluster' needs groups"),
    ({"groups": [0, 1]}, "groups are for kind='cluster'; kind is 'fisher'"),
    ({"kind": "cluster", "groups": np.zeros(150)}, r"groups holds one cluster only \(0.0\)"),
    (
        {"kind": "cluster", "groups": np.where(np.arange(150) == 3, np.nan, 1.0)},
        "groups holds 1 labels that are missing",
    ),
    ({"kind": "cluster", "groups": np.arange(149)}, r"groups must have the shape \(150,\)"),
    ({"sample_weight": np.full(150, 2.0)}, "the weights add up to 300, but to 150 in the fit"),
    ({"sample_weight": np.ones(150), "weights": "importance"}, "kind='fisher' takes weights for numbers of samples"),
    ({"weights": "analytic"}, "weights must be"),
    ({"kind": "posterior"}, r"kind='posterior' is for a fit with l2 > 0"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_what_does_not_fit_together_is_refused(data, options, message):
    X, Y, *_ = data
    with pytest.raises(ValueError, match=message):
        xlogreg.fit(X, Y).covariance_of(X, Y, **options)


def test_other_samples_than_those_of_the_fit_are_refused(data):
    X, Y, *_ = data
    model = xlogreg.fit(X, Y)
    with pytest.raises(ValueError, match="X holds 149 samples, but the model was fitted to 150"):
        model.covariance_of(X[:, 1:], Y[1:])
    with pytest.raises(
        ValueError, match=r"the log-likelihood of X and Y is .* in the fit; pass the samples of the fit"
    ):
        model.covariance_of(X, 1 - Y)
    with pytest.raises(ValueError, match="the log-likelihood of X and Y"):
        model.covariance_of(X[::-1].copy(), Y)


def test_models_without_a_covariance_say_why(data):
    X, Y, *_ = data
    cases = [
        ({"l1": 0.01}, "fisher", "selected by an L1 penalty"),
        ({"l2": 0.01}, "HC0", "which biases parameters; use kind='penalised' or"),
        ({"lower": 0.0}, "fisher", "the weights have bounds"),
        ({"solver": "gd", "max_iter": 3}, "fisher", "the fit did not converge"),
        ({"solver": "gd", "loss": "squared_error", "max_iter": 3}, "fisher", "no likelihood"),
    ]
    for options, kind, message in cases:
        model = xlogreg.fit(X, Y, **options)
        with pytest.raises(ValueError, match=message):
            model.covariance_of(X, Y, kind=kind)
    apart = np.asarray([[-2.0, -1.0, 1.0, 2.0]])
    with pytest.warns(xlogreg.SeparationWarning):
        model = xlogreg.fit(apart, [0, 0, 1, 1])
    with pytest.raises(ValueError, match=r"the classes are separated \(complete\)"):
        model.covariance_of(apart, [0, 0, 1, 1])
    twice = np.concatenate([X, X[:1]])
    with pytest.raises(ValueError, match="collinear or constant, and the information has the rank 4, not 5"):
        xlogreg.fit(twice, Y).covariance_of(twice, Y)


def test_more_parameters_than_a_covariance_may_have_are_refused_at_once(monkeypatch, data):
    X, Y, *_ = data
    monkeypatch.setattr(sandwich, "LARGEST", 2)
    with pytest.raises(ValueError, match="no covariance: it needs the inverse of a matrix of 3 x 3 numbers, for 3"):
        xlogreg.fit(X, Y).covariance_of(X, Y)


def test_the_fisher_covariance_is_that_of_the_fit(data):
    X, two, three, *_ = data
    for Y, options in ((two, {}), (three, {}), (two, {"bias": False})):
        model = xlogreg.fit(X, Y, **options)
        np.testing.assert_allclose(model.covariance_of(X, Y).matrix, model.covariance, rtol=1e-7, atol=1e-12)


def test_statsmodels_agrees_on_robust_and_clustered_errors(data):
    statsmodels = pytest.importorskip("statsmodels.api", reason="statsmodels is not installed")
    X, Y, three, _, groups = data
    rows = statsmodels.add_constant(X.T, prepend=False)
    for labels, judge in ((Y, statsmodels.Logit(Y, rows)), (three, statsmodels.MNLogit(three, rows))):
        model = xlogreg.fit(X, labels)
        for kind, options in (("HC0", {}), ("cluster", {"groups": groups})):
            kinds = {"cov_type": kind} | ({"cov_kwds": options} if options else {})
            expected = judge.fit(disp=0, method="newton", maxiter=12, warn_convergence=False, **kinds)
            found = model.summary(covariance=model.covariance_of(X, labels, kind=kind, **options))
            np.testing.assert_allclose(found.table["standard_error"], np.ravel(expected.bse.T), rtol=1e-6)
