"""What a user may mix on any namespace: arguments from elsewhere, other dtypes, every way of gradient descent."""

import numpy as np
import pytest
from conftest import place_or_skip

import xlogreg
from xlogreg.arrays.place import dtype_name, to_host

BACKENDS = ("numpy", "torch", "jax", "array-api-strict")


def numpy_descent(X, Y, rate, iterations, *, weight=None, l2=0.0, bias=True, start=None, squared=False):
    """Gradient descent in NumPy as the notes write it, Y (k, m): W, b and the cost before each update."""
    k, m = Y.shape
    s = np.ones(m) if weight is None else weight
    W, b = (np.zeros((X.shape[0], k)), np.zeros((k, 1))) if start is None else start
    costs = []
    for _ in range(iterations):
        Z = W.T @ X + b
        E = np.exp(Z - Z.max(axis=0))
        A = 1 / (1 + np.exp(-Z)) if k == 1 else E / E.sum(axis=0)
        losses = -(Y * np.log(A) + ((1 - Y) * np.log(1 - A) if k == 1 else 0.0))
        losses, dZ = ((A - Y) ** 2 / 2, (A - Y) * A * (1 - A)) if squared else (losses, A - Y)
        costs.append(np.sum(s * losses) / s.sum() + l2 / 2 * np.sum(W * W))
        dZ = s * dZ / s.sum()
        W, b = W - rate * (X @ dZ.T + l2 * W), b - rate * bias * dZ.sum(axis=1, keepdims=True)
    return W, b, costs


WEIGHT = np.linspace(0.1, 2.0, 60)
START = (np.asarray([[0.2], [-0.1], [0.3], [0.0]]), np.asarray([[-0.4]]))
DESCENTS = {
    "weights": {"weight": WEIGHT},
    "penalty": {"l2": 0.3},
    "no bias": {"bias": False},
    "start": {"start": START},
    "squared error": {"squared": True},
    "all": {"weight": WEIGHT, "l2": 0.3, "start": START, "squared": True},
}


@pytest.mark.slow
@pytest.mark.parametrize("case", DESCENTS)
def test_gd_is_the_loop_of_the_notes_with_every_option(where, problem, case):
    X, Y = problem
    options = DESCENTS[case]
    W, b, costs = numpy_descent(X, Y[None, :], 0.05, 100, **options)
    names = {"weight": "sample_weight", "start": "initial"}
    arguments = {names.get(name, name): value for name, value in options.items() if name != "squared"}
    if options.get("squared"):
        arguments["loss"] = "squared_error"
    model = xlogreg.fit(where.asarray(X), Y, solver="gd", learning_rate=0.05, max_iter=100, **arguments)
    rtol = 1e-11 if where.dtype == "float64" else 1e-4
    where.check(model.w, W, rtol=rtol)
    where.check(model.b, b, rtol=rtol)
    np.testing.assert_allclose(model.costs, costs, rtol=rtol)


@pytest.mark.slow
def test_gd_of_three_classes_is_the_loop_with_softmax(where, three_classes):
    X, Y = three_classes
    weight = np.linspace(0.1, 2.0, 90)
    W, b, costs = numpy_descent(X, np.eye(3)[:, Y], 0.2, 300, weight=weight, l2=0.1)
    options = {"solver": "gd", "learning_rate": 0.2, "max_iter": 300, "l2": 0.1}
    model = xlogreg.fit(where.asarray(X), Y, sample_weight=weight, **options)
    rtol = 1e-11 if where.dtype == "float64" else 1e-4
    where.check(model.w, W, rtol=rtol)
    where.check(model.b, b, rtol=rtol)
    np.testing.assert_allclose(model.costs, costs, rtol=rtol)


@pytest.mark.parametrize("standardize", [False, True, 255])
def test_cost_and_gradient_norm_are_those_of_the_parameters_returned(problem, standardize):
    X, Y = problem
    model = xlogreg.fit(X, Y, solver="gd", max_iter=30, learning_rate=0.1, standardize=standardize, l2=0.2)
    center, scale = 0.0, float(standardize or 1.0)
    if standardize is True:
        center, scale = X.mean(axis=1, keepdims=True), X.std(axis=1, keepdims=True)
    features, w = (X - center) / scale, model.w * scale
    Z = model.w.T @ X + model.b
    A = 1 / (1 + np.exp(-Z))
    J = np.mean(-(Y * np.log(A) + (1 - Y) * np.log(1 - A))) + 0.1 * np.sum(w * w)
    dw, db = features @ (A - Y).T / 60 + 0.2 * w, np.mean(A - Y)
    assert model.fit_info.cost == pytest.approx(J, rel=1e-12)
    assert model.fit_info.gradient_norm == pytest.approx(np.hypot(np.linalg.norm(dw), db), rel=1e-10)


@pytest.mark.parametrize("solver", ["lbfgs", "auto"])
def test_the_gap_reported_is_close_to_the_true_one(solver):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((1200, 80)), np.arange(80) % 2
    lowest = xlogreg.fit(X, Y, l2=0.05, tol=1e-15).fit_info.cost
    info = xlogreg.fit(X, Y, l2=0.05, solver=solver, tol=1e-3).fit_info
    assert info.gap == pytest.approx(info.cost - lowest, rel=0.1, abs=1e-9)
    assert info.cost - lowest <= 1e-3 * info.cost


def test_the_functions_change_none_of_their_arguments(where, problem):
    X, Y, W, b = arguments = [where.asarray(part) for part in (problem[0], problem[1][None, :], *START)]
    before = [to_host(part).copy() for part in arguments]
    Z, A = xlogreg.forward(X, W, b)
    scores, activations = to_host(Z).copy(), to_host(A).copy()
    dW, _ = xlogreg.gradients(X, A, Y)
    slopes = to_host(dW).copy()
    xlogreg.update(W, dW, 0.1)
    for function in (xlogreg.log_loss, xlogreg.squared_error, xlogreg.cost):
        function(Z, Y)
    for function in (xlogreg.sigmoid, xlogreg.softmax):
        function(Z)
    xlogreg.cross_entropy(Z, Y)
    xlogreg.curvature(A)
    for part, copy in zip((*arguments, Z, A, dW), (*before, scores, activations, slopes), strict=True):
        np.testing.assert_array_equal(to_host(part), copy)


@pytest.mark.parametrize("elsewhere", BACKENDS)
def test_Y_weights_and_start_may_live_elsewhere_than_X(where, problem, elsewhere):
    X, Y = problem
    put = place_or_skip(elsewhere).put
    options = {"sample_weight": WEIGHT, "initial": START}
    expected = xlogreg.fit(where.asarray(X), Y, **options)
    options = {"sample_weight": put(WEIGHT), "initial": tuple(put(part) for part in START)}
    model = xlogreg.fit(where.asarray(X), put(Y), **options)
    where.check(model.w, to_host(expected.w))
    report = model.evaluate(where.asarray(X), put(Y), sample_weight=put(WEIGHT))
    assert report.accuracy == pytest.approx(expected.evaluate(X, Y, sample_weight=WEIGHT).accuracy)


@pytest.mark.parametrize("kind", ["bool", "uint8", "int64"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_weights_may_be_of_any_real_type(problem, backend, kind):
    X, Y = problem
    weight = (np.arange(60) % 5).astype(kind)
    expected = xlogreg.fit(X, Y, sample_weight=weight.astype(float))
    model = xlogreg.fit(X, Y, sample_weight=place_or_skip(backend).put(weight))
    np.testing.assert_allclose(model.w, expected.w, rtol=1e-9)


@pytest.mark.parametrize("fitted", ["bool", "int64", "float64"])
@pytest.mark.parametrize("judged", ["bool", "int64", "float64"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_model_is_judged_on_labels_of_another_type(problem, backend, fitted, judged):
    X, Y = problem
    model = xlogreg.fit(X, Y.astype(fitted))
    put = place_or_skip(backend).put
    expected = np.mean(model.predict(X)[0] == Y)
    assert model.evaluate(put(X), put(Y.astype(judged))).accuracy == pytest.approx(expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_labels_of_bytes_come_back_in_numpy_as_strings_do(problem, backend):
    X, Y = problem
    names = np.asarray([b"no", b"yes"])
    labels = xlogreg.fit(X, names[Y]).predict(place_or_skip(backend).put(X))
    np.testing.assert_array_equal(labels, names[xlogreg.fit(X, Y).predict(X)])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_evaluate_locates_values_that_are_not_finite(where, problem, value):
    X, Y = problem
    spoiled = X.copy()
    spoiled[1, 7] = value
    with pytest.raises(ValueError, match=f"the first is {value} at row 1, column 7"):
        xlogreg.fit(X, Y).evaluate(where.asarray(spoiled), Y)


@pytest.mark.parametrize("solver", ["newton", "lbfgs", "auto"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_constant_feature_has_no_weight_in_a_narrower_dtype_either(problem, backend, solver):
    X, Y = problem
    constant = np.concatenate([X, np.full((1, 60), 0.1)])  # 0.1 is not the same number in float32
    expected = xlogreg.fit(X, Y)
    model = xlogreg.fit(place_or_skip(backend).put(constant), Y, dtype="float32", solver=solver)
    assert abs(float(model.w[4, 0])) < 1e-6
    np.testing.assert_allclose(to_host(model.w)[:4], expected.w, rtol=1e-4)
    np.testing.assert_allclose(to_host(model.b), expected.b, rtol=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_dtype_asked_for_computes_and_that_of_X_comes_back(problem, backend):
    X, Y = problem
    place = place_or_skip(backend)
    for asked in ("float32", np.float32, np.dtype("float32"), place.dtype("float32")):
        model = xlogreg.fit(place.put(X), Y, dtype=asked)
        assert (model.fit_info.dtype, dtype_name(model.w)) == ("float32", "float64")
    model = xlogreg.fit(place.put(X, "float32"), Y, dtype="float64")
    assert (model.fit_info.dtype, dtype_name(model.w)) == ("float64", "float32")


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_bfloat16_is_computed_in_float32(problem, backend):
    X, Y = problem
    place = place_or_skip(backend)
    features = place.put(X).bfloat16() if backend == "torch" else place.put(X).astype("bfloat16")
    expected = xlogreg.fit(to_host(features).astype("float32"), Y)
    model = xlogreg.fit(features, Y)
    assert model.fit_info.dtype == dtype_name(model.w) == "float32"
    np.testing.assert_allclose(to_host(model.w), expected.w, rtol=1e-4)


def test_torch_targets_and_weights_that_require_gradients_are_detached(problem):
    torch = pytest.importorskip("torch")
    X, Y = torch.asarray(problem[0]), torch.asarray(problem[1] * 0.8 + 0.1)[None, :]
    expected = xlogreg.fit(X, Y, targets="probabilities", sample_weight=WEIGHT)
    Y, weight = Y.requires_grad_(True), torch.asarray(WEIGHT).requires_grad_(True)
    model = xlogreg.fit(X, Y, targets="probabilities", sample_weight=weight)
    assert not model.w.requires_grad
    np.testing.assert_array_equal(model.w, expected.w)


@pytest.mark.parametrize("block_bytes", [1, 700])
def test_fit_and_predictions_do_not_depend_on_the_size_of_the_blocks(problem, monkeypatch, block_bytes):
    X, Y = problem
    whole = xlogreg.fit(X, Y)
    monkeypatch.setattr("xlogreg.samples.blocks.SMALL_BLOCK_BYTES", block_bytes)
    cut = xlogreg.fit(X, Y)
    np.testing.assert_allclose(cut.w, whole.w, rtol=1e-9)
    np.testing.assert_allclose(cut.predict_proba(X.T.copy().T), whole.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize(
    ("dtype", "size"), [("float64", 1e-50), ("float64", 1e38), ("float32", 1e-6), ("float32", 1e6)]
)
def test_the_size_of_the_weights_does_not_matter(problem, dtype, size):
    X, Y = problem
    model = xlogreg.fit(X, Y, dtype=dtype, sample_weight=np.full(60, size))
    np.testing.assert_allclose(model.w, xlogreg.fit(X, Y).w, rtol=1e-4)


def test_a_cost_that_keeps_growing_is_called_divergence_before_it_overflows(problem):
    X, Y = problem
    with pytest.warns(xlogreg.DivergenceWarning, match="smaller learning_rate"):
        model = xlogreg.fit(X * 10, Y, solver="gd", learning_rate=100.0, max_iter=500)
    assert model.fit_info.reason == "diverged"
    assert np.all(np.isfinite(model.costs))
    assert model.fit_info.iterations == len(model.costs)


def test_names_and_values_are_apart_in_the_printed_fit_info(problem):
    info = xlogreg.fit(*problem).fit_info
    names = [line.split()[0] for line in str(info).splitlines()]
    assert names == [name for name in vars(info) if name != "note"]  # of which there is none
