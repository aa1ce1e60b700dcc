"""Bad input gets one clear error: which argument, what came, what is right."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import xlogreg
from xlogreg.arrays.place import to_host

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 40))
Y = (RNG.random(40) < 0.5).astype(int)
M = 40


def spoiled(value, row=1, column=7):
    bad = X.copy()
    bad[row, column] = value
    return bad


def hot(columns):
    return np.eye(3)[:, columns]


THREE = np.arange(40) % 3
MIXED = [0, "dog"] * 20
DATES = np.full((3, 40), "2020-01-01", dtype="datetime64[D]")
BAD = [
    # argument, call, error, what the message says
    ("X empty", {"X": np.zeros((3, 0)), "Y": []}, ValueError, r"X is empty: its shape is \(3, 0\)"),
    ("X without features", {"X": np.zeros((0, 40))}, ValueError, "X is empty"),
    ("X 1-d", {"X": X[0]}, ValueError, r"X must have the shape \(n_x, m\), one sample a column; got \(40,\)"),
    ("X 3-d", {"X": X[None]}, ValueError, r"X must have the shape .* got \(1, 3, 40\)"),
    ("X complex", {"X": X + 1j}, TypeError, "X must hold numbers; got ndarray of complex128"),
    ("X of strings", {"X": X.astype(str)}, TypeError, "X must hold numbers"),
    ("X of objects", {"X": X.astype(complex).astype(object)}, TypeError, "X must hold numbers; got ndarray of object"),
    ("X of text in objects", {"X": X.astype(str).astype(object)}, TypeError, "X must hold numbers; got ndarray of <U"),
    ("X with None in objects", {"X": np.where(X > 0, X, None)}, TypeError, "X mixes values .* NoneType, float"),
    ("X of huge integers", {"X": np.full((3, 40), 10**400, object)}, ValueError, "X holds integers that are too large"),
    ("Y of huge integers", {"Y": Y.astype(object) * 10**30}, TypeError, "Y must hold numbers or strings"),
    ("Y with None in objects", {"Y": np.where(Y, 1, None)}, TypeError, "Y mixes values of the types NoneType, int"),
    ("X ragged", {"X": [[1.0, 2.0], [3.0]]}, ValueError, "X is ragged"),
    ("X masked", {"X": np.ma.masked_less(X, 0)}, TypeError, "X is a masked array.*fill or drop"),
    ("X of dates", {"X": DATES}, TypeError, r"X must hold numbers; got ndarray of datetime64"),
    ("X of durations", {"X": DATES - DATES}, TypeError, r"X must hold numbers; got ndarray of timedelta64"),
    ("X mixed", {"X": [[1.0, "a"], [2.0, "b"]]}, TypeError, "X mixes values of the types float, str"),
    ("X with None", {"X": [[1.0, None], [2.0, 3.0]]}, TypeError, "X mixes values of the types NoneType, float"),
    ("X of bytes", {"X": np.full((3, 40), b"1")}, TypeError, "X must hold numbers"),
    ("X a dict", {"X": {"a": [1.0]}}, TypeError, "X must hold numbers; got dict of object"),
    ("X a record", {"X": np.zeros((3, 40), dtype=[("a", "f8")])}, TypeError, "X must hold numbers"),
    ("X 0-d", {"X": 1.0}, ValueError, r"X must have the shape \(n_x, m\), one sample a column; got \(\)"),
    ("X text", {"X": "data.csv"}, TypeError, "X is a name, not data"),
    ("X a column of NaN", {"X": spoiled(np.nan, slice(None))}, ValueError, "X holds 3 values .* row 0, column 7"),
    ("X a feature of NaN", {"X": spoiled(np.nan, 1, slice(None))}, ValueError, "X holds 40 values .* row 1, column 0"),
    ("one sample", {"X": X[:, :1], "Y": [1]}, ValueError, "Y holds one class only"),
    ("X None", {"X": None}, TypeError, "X must hold numbers; got NoneType"),
    ("X as rows", {"X": X.T}, ValueError, r"Y has the shape \(40,\), but X holds 3 samples.*use samples='rows'"),
    ("X as columns", {"samples": "rows"}, ValueError, "did you pass samples as columns\\? use samples='columns'"),
    ("Y too short", {"Y": Y[:39]}, ValueError, r"Y has the shape \(39,\), but X holds 40 samples: expected \(40,\)"),
    ("Y a column", {"Y": Y[:, None]}, ValueError, r"Y has the shape \(40, 1\)"),
    ("Y 0-d", {"Y": 1}, ValueError, r"Y has the shape \(\)"),
    ("Y of one class", {"Y": np.ones(40, int)}, ValueError, r"Y holds one class only \(1\)"),
    ("Y of one string", {"Y": ["a"] * 40}, ValueError, r"Y holds one class only \('a'\)"),
    ("Y of one bool", {"Y": np.zeros(40, bool)}, ValueError, "Y holds one class only"),
    ("Y continuous", {"Y": RNG.random(40)}, ValueError, "not whole numbers.*targets='probabilities'"),
    ("Y mixed", {"Y": MIXED}, TypeError, "Y mixes values of the types int, str"),
    ("Y with None", {"Y": ["cat", None] * 20}, TypeError, "Y mixes values of the types NoneType, str"),
    ("Y None", {"Y": None}, TypeError, "Y must hold numbers or strings; got NoneType"),
    ("Y complex", {"Y": Y + 0j}, TypeError, "Y must hold numbers or strings; got ndarray of complex128"),
    ("Y of dates", {"Y": DATES[0]}, TypeError, "Y must hold numbers or strings; got ndarray of datetime64"),
    (
        "Y of strings, 2-d",
        {"Y": np.full((2, 40), "a")},
        ValueError,
        "Y holds 2 strings for each sample; it must hold one",
    ),
    ("Y masked", {"Y": np.ma.masked_less(Y, 0)}, TypeError, "Y is a masked array"),
    ("Y ragged", {"Y": [[0], [1, 2]] * 20}, ValueError, "Y is ragged"),
    ("Y 3-d", {"Y": Y[None, None]}, ValueError, r"Y has the shape \(1, 1, 40\)"),
    ("Y empty", {"Y": []}, ValueError, r"Y has the shape \(0,\)"),
    (
        "Y infinite",
        {"Y": np.where(Y == 1, np.inf, 0.0)},
        ValueError,
        r"Y holds \d+ values that are not finite .*: the first is that of sample \d",
    ),
    (
        "Y -infinite",
        {"Y": np.where(Y == 1, -np.inf, 0.0)},
        ValueError,
        r"Y holds \d+ values that are not finite .*: the first is that of sample \d",
    ),
    ("Y text, targets", {"Y": ["a", "b"] * 20, "targets": "probabilities"}, TypeError, "Y must hold numbers; got list"),
    (
        "Y NaN",
        {"Y": np.where(Y == 1, np.nan, 0.0)},
        ValueError,
        r"Y holds \d+ values that are not finite .*: the first is that of sample \d",
    ),
    ("Y of objects", {"Y": np.asarray([{}] * 40)}, TypeError, "Y must hold numbers or strings"),
    ("Y not one-hot", {"Y": hot(THREE) + hot(THREE[::-1])}, ValueError, "Y has 3 rows.*not one-hot"),
    ("Y one-hot, class absent", {"Y": hot(Y)}, ValueError, "Y has no sample of class 2"),
    ("Y above 1", {"Y": Y * 1.5, "targets": "probabilities"}, ValueError, r"Y must lie in \[0, 1\].*from 0.0 to 1.5"),
    ("Y columns", {"Y": hot(THREE) * 0.5, "targets": "probabilities"}, ValueError, "columns of Y must sum to one"),
    ("Y all 0", {"Y": Y * 0.0, "targets": "probabilities"}, ValueError, "Y gives class 1 no probability"),
    ("weight too short", {"sample_weight": np.ones(39)}, ValueError, r"sample_weight must have the shape \(40,\)"),
    ("weight negative", {"sample_weight": np.full(40, -1.0)}, ValueError, "sample_weight must not be negative.*-1.0"),
    ("weight zero", {"sample_weight": np.zeros(40)}, ValueError, "sample_weight is zero for every sample$"),
    (
        "weight NaN",
        {"sample_weight": np.full(40, np.nan)},
        ValueError,
        "sample_weight holds 40 values that are not finite",
    ),
    ("weight erases", {"sample_weight": Y * 1.0}, ValueError, "sample_weight is zero for every sample of class 0"),
    (
        "weight infinite",
        {"sample_weight": np.full(40, np.inf)},
        ValueError,
        "sample_weight holds 40 values that are not finite",
    ),
    (
        "weight of one NaN",
        {"sample_weight": spoiled(np.nan)[1] ** 2},
        ValueError,
        "holds 1 value that is .* of sample 7",
    ),
    ("weights vanish", {"sample_weight": np.full(40, 1e-320)}, ValueError, r"the sum of sample_weight is \d.*e-319 in"),
    (
        "weights overflow",
        {"sample_weight": np.full(40, 1e308)},
        ValueError,
        "the sum of sample_weight is inf in float64, too small",
    ),
    (
        "weights vanish in float32",
        {"sample_weight": np.full(40, 1e-60), "dtype": "float32"},
        ValueError,
        "is 0 in float32, too small or too",
    ),
    ("weight 2-d", {"sample_weight": np.ones((2, 40))}, ValueError, r"sample_weight must have the shape \(40,\)"),
    ("weight 0-d", {"sample_weight": 2.0}, ValueError, r"sample_weight must have the shape \(40,\).* got \(\)"),
    ("weight complex", {"sample_weight": np.ones(40) + 0j}, TypeError, "sample_weight must hold numbers"),
    ("weight masked", {"sample_weight": np.ma.masked_less(Y, 1)}, TypeError, "sample_weight is a masked array"),
    ("weight text", {"sample_weight": ["a"] * 40}, TypeError, "sample_weight must hold numbers"),
    ("samples", {"samples": "lines"}, ValueError, "samples must be 'columns' or 'rows', not 'lines'"),
    ("targets", {"targets": "soft"}, ValueError, "targets must be 'labels' or 'probabilities', not 'soft'"),
    ("solver", {"solver": "sgd"}, ValueError, "solver must be one of 'auto', 'gd', 'newton', 'lbfgs', not 'sgd'"),
    ("loss", {"loss": "hinge"}, ValueError, "loss must be 'log_loss' or 'squared_error', not 'hinge'"),
    ("backend", {"backend": "tpu"}, ValueError, "backend 'tpu' is unknown; usable on this machine"),
    ("backend module", {"backend": np}, TypeError, "backend must be a name such as 'cupy', not module"),
    ("dtype", {"dtype": "float16"}, ValueError, "dtype must be 'float32' or 'float64'"),
    ("l2 negative", {"l2": -1.0}, ValueError, "l2 must be a finite number >= 0, not -1.0"),
    ("l2 NaN", {"l2": float("nan")}, ValueError, "l2 must be a finite number >= 0, not nan"),
    ("l2 bool", {"l2": True}, TypeError, "l2 must be a finite number >= 0, not True"),
    ("l2 infinite", {"l2": np.inf}, ValueError, "l2 must be a finite number >= 0, not inf"),
    ("l2 None", {"l2": None}, TypeError, "l2 must be a finite number >= 0, not None"),
    ("l2 array", {"l2": np.ones(2)}, TypeError, "l2 must be a finite number >= 0, not array"),
    ("l2 text", {"l2": "1"}, TypeError, "l2 must be a finite number >= 0, not '1'"),
    ("rate zero", {"solver": "gd", "learning_rate": 0.0}, ValueError, "learning_rate must be 'auto' or a finite numb"),
    ("rate infinite", {"solver": "gd", "learning_rate": np.inf}, ValueError, "learning_rate must be"),
    ("rate negative", {"solver": "gd", "learning_rate": -1.0}, ValueError, "learning_rate must be"),
    ("rate NaN", {"solver": "gd", "learning_rate": np.nan}, ValueError, "learning_rate must be"),
    ("rate bool", {"solver": "gd", "learning_rate": True}, TypeError, "learning_rate must be"),
    ("rate text", {"solver": "gd", "learning_rate": "fast"}, TypeError, "learning_rate must be 'auto' or a finite num"),
    ("max_iter negative", {"max_iter": -5}, ValueError, "max_iter must be 1 or more, not -5"),
    ("max_iter text", {"max_iter": "10"}, TypeError, "max_iter must be a whole number, not '10'"),
    ("tol NaN", {"tol": np.nan}, ValueError, "tol must be a finite number >= 0, not nan"),
    ("tol infinite", {"tol": np.inf}, ValueError, "tol must be a finite number >= 0, not inf"),
    ("tol bool", {"tol": False}, TypeError, "tol must be a finite number >= 0, not False"),
    ("tol text", {"tol": "1e-6"}, TypeError, "tol must be a finite number >= 0, not '1e-6'"),
    ("time limit zero", {"time_limit": 0}, ValueError, "time_limit must be a finite number of seconds > 0, not 0"),
    ("time limit infinite", {"time_limit": np.inf}, ValueError, "time_limit must be a finite number of seconds > 0"),
    (
        "time limit text",
        {"time_limit": "1 h"},
        TypeError,
        "time_limit must be a finite number of seconds > 0, not '1 h'",
    ),
    ("time limit bool", {"time_limit": True}, TypeError, "time_limit must be a finite number of seconds > 0, not True"),
    ("checkpoint", {"checkpoint": 3}, TypeError, "checkpoint must be the path of a file, not 3"),
    ("checkpoint nowhere", {"checkpoint": "no/where/m"}, FileNotFoundError, "No such file or directory: 'no/where'"),
    ("rng text", {"rng": "a"}, TypeError, "rng must be a whole number or a numpy.random.Generator, not 'a'"),
    ("rng negative", {"rng": -1}, ValueError, "rng must not be negative, not -1"),
    ("verbose", {"verbose": "yes"}, TypeError, "verbose must be 0 or 1, not 'yes'"),
    ("solver None", {"solver": None}, ValueError, "solver must be one of"),
    ("dtype unknown", {"dtype": "float128"}, ValueError, "dtype must be 'float32' or 'float64'"),
    ("dtype int", {"dtype": int}, ValueError, "dtype must be 'float32' or 'float64'"),
    ("standardize NaN", {"standardize": np.nan}, ValueError, "standardize must be True, False or a finite number > 0"),
    (
        "initial of classes",
        {"initial": (np.zeros((3, 3)), np.zeros((3, 1)))},
        ValueError,
        r"initial must hold w \(3, 1",
    ),
    ("max_iter zero", {"max_iter": 0}, ValueError, "max_iter must be 1 or more, not 0"),
    ("max_iter 1.5", {"max_iter": 1.5}, TypeError, "max_iter must be a whole number, not 1.5"),
    ("max_iter bool", {"max_iter": True}, TypeError, "max_iter must be a whole number, not True"),
    ("tol negative", {"tol": -1e-3}, ValueError, "tol must be a finite number >= 0"),
    ("standardize zero", {"standardize": 0.0}, ValueError, "standardize must be True, False or a finite number > 0"),
    ("standardize text", {"standardize": "yes"}, TypeError, "standardize must be True, False or"),
    ("bias text", {"bias": "no"}, TypeError, "bias must be True or False, not 'no'"),
    ("callback", {"callback": 3}, TypeError, "callback must be callable, not int"),
    ("squared error", {"loss": "squared_error"}, ValueError, "loss='squared_error' needs solver='gd', not 'auto'"),
    (
        "squared error of three",
        {"loss": "squared_error", "solver": "gd", "Y": THREE},
        ValueError,
        "loss='squared_error' is for two classes; Y has 3",
    ),
    ("initial shape", {"initial": (np.zeros((2, 1)), np.zeros((1, 1)))}, ValueError, r"initial must hold w \(3, 1\)"),
    ("initial type", {"initial": 3}, TypeError, r"initial must be a Model or a pair \(w, b\), not int"),
    ("initial NaN", {"initial": (np.full((3, 1), np.nan), np.zeros((1, 1)))}, ValueError, "initial holds values that"),
    (
        "newton too large",
        {"X": RNG.standard_normal((600, 400)), "Y": np.arange(400) % 10, "solver": "newton"},
        ValueError,
        "solver='newton' holds a Hessian of 6010 x 6010 parameters",
    ),
    (
        "overflow",
        {"X": spoiled(1e39), "dtype": "float32"},
        ValueError,
        "in float32, computed from float64: .* inf at row 1",
    ),
]


@pytest.mark.parametrize(("options", "error", "message"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_input_is_refused_in_the_words_of_the_user(options, error, message):
    with pytest.raises(error, match=message) as caught:
        xlogreg.fit(**({"X": X, "Y": Y} | options))
    assert caught.value.__context__ is None or caught.value.__suppress_context__  # no other error in the way
    assert "\n" not in str(caught.value)


# of the array of a library: each must be refused as NumPy's is
ARRAYS = {
    "1-d": (lambda where: {"X": where.asarray(X[0])}, ValueError, "X must have the shape"),
    "3-d": (lambda where: {"X": where.asarray(X[None])}, ValueError, "X must have the shape"),
    "empty": (lambda where: {"X": where.asarray(X[:, :0])}, ValueError, "X is empty"),
    "no features": (lambda where: {"X": where.asarray(X[:0])}, ValueError, "X is empty"),
    "as rows": (lambda where: {"X": where.asarray(X.T)}, ValueError, "use samples='rows'"),
    "Y too short": (lambda where: {"Y": where.asarray(Y[:39])}, ValueError, "Y has the shape"),
    "Y of one class": (lambda where: {"Y": where.asarray(np.ones(40))}, ValueError, "Y holds one class only"),
    "Y continuous": (lambda where: {"Y": where.asarray(RNG.random(40))}, ValueError, "not whole numbers"),
    "Y NaN": (lambda where: {"Y": where.asarray(np.full(40, np.nan))}, ValueError, "Y holds 40 values that are not"),
    "weight negative": (lambda where: {"sample_weight": where.asarray(-np.ones(40))}, ValueError, "be negative"),
    "weight NaN": (lambda where: {"sample_weight": where.asarray(np.full(40, np.nan))}, ValueError, "not finite"),
    "weight zero": (lambda where: {"sample_weight": where.asarray(np.zeros(40))}, ValueError, "zero for every sample"),
    "weight erases": (lambda where: {"sample_weight": where.asarray(Y)}, ValueError, "every sample of class 0"),
    "initial shape": (lambda where: {"initial": (where.asarray(X), where.asarray(X))}, ValueError, "initial must hold"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays_of_every_library_are_refused_alike(where, case):
    bad, error, message = ARRAYS[case]
    with pytest.raises(error, match=message) as caught:
        xlogreg.fit(**({"X": where.asarray(X), "Y": Y} | bad(where)))
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_complex_arrays_of_every_library_are_refused(where64):
    with pytest.raises(TypeError, match=r"X must hold numbers; got .* of .*complex128"):
        xlogreg.fit(where64.asarray(X, dtype="complex128"), Y)


def test_targets_and_weights_may_live_elsewhere(where):
    weight = np.linspace(1.0, 2.0, M)
    expected = xlogreg.fit(X, Y, sample_weight=weight).w
    for x, y, s in ((where.asarray(X), Y, weight), (X, where.asarray(Y), where.asarray(weight))):
        np.testing.assert_allclose(to_host(xlogreg.fit(x, y, sample_weight=s).w), expected, rtol=1e-4)


def test_a_model_predicts_arrays_of_any_library(where):
    model = xlogreg.fit(X, Y)
    where.check(model.predict_proba(where.asarray(X)), model.predict_proba(X), rtol=1e-4)


@pytest.mark.parametrize("kind", [int, bool, float, np.int8, np.bool_, np.uint64, np.float32])
def test_objects_that_are_numbers_are_taken_as_numbers(kind):
    objects, values = np.empty(40, dtype=object), [kind(value) for value in Y]
    objects[:] = values
    plain = xlogreg.fit(X, np.asarray(values))
    for given in (objects, pytest.importorskip("pandas").Series(objects)):
        model = xlogreg.fit(X, given)
        assert model.classes.dtype == plain.classes.dtype
        np.testing.assert_array_equal(model.w, plain.w)
        assert model.evaluate(X, given).accuracy == plain.evaluate(X, np.asarray(values)).accuracy


@pytest.mark.parametrize("kind", [float, np.float32, Decimal, Fraction])
def test_objects_that_are_numbers_are_taken_as_features_and_weights(kind):
    rounded = X.astype(np.float32)
    objects = np.empty((3, 40), dtype=object)
    objects[:] = [[kind(value) for value in row] for row in rounded.tolist()]
    objects[0, 0], rounded[0, 0] = 3, 3.0  # an integer among them
    model = xlogreg.fit(objects, Y, sample_weight=objects[0] ** 2)
    np.testing.assert_allclose(model.w, xlogreg.fit(rounded, Y, sample_weight=rounded[0] ** 2).w, rtol=1e-4)
    np.testing.assert_allclose(model.predict_proba(objects), model.predict_proba(rounded), rtol=1e-4)
    frame = pytest.importorskip("pandas").DataFrame(objects.T)
    assert set(map(str, frame.dtypes)) == {"object"}
    np.testing.assert_allclose(xlogreg.fit(frame, Y, samples="rows").w, xlogreg.fit(rounded, Y).w, rtol=1e-4)


def test_one_sample_of_a_class_is_enough():
    model = xlogreg.fit(X, np.arange(40) == 3, l2=0.1)
    assert model.fit_info.converged


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_matrices_are_refused():
    with pytest.raises(TypeError, match=r"X is an np\.matrix, which stays two-dimensional; use np\.asarray\(X\)"):
        xlogreg.fit(np.asmatrix(X), Y)


def test_traced_arrays_are_refused_with_the_way_out():
    jax = pytest.importorskip("jax")
    model = xlogreg.fit(X, Y)
    for traced in (lambda x: xlogreg.fit(x, Y).w, model.predict_proba, lambda x: model.evaluate(x, Y).accuracy):
        with pytest.raises(TypeError, match=r"X is traced by .*, so call them outside of it"):
            jax.jit(traced)(X)


@pytest.mark.parametrize("device", ["gpu7", "cuda:99", 3])
@pytest.mark.parametrize("backend", [None, "numpy", "torch"])
def test_a_device_that_is_not_there_is_said_or_refused(backend, device):
    if backend == "torch":
        pytest.importorskip("torch")
    with pytest.raises(xlogreg.BackendUnavailableError, match=r"device=.* is not usable on this machine"):
        xlogreg.fit(X, Y, backend=backend, device=device, fallback=False)
    with pytest.warns(xlogreg.BackendFallbackWarning, match="is not usable on this machine"):
        model = xlogreg.fit(X, Y, backend=backend, device=device)
    assert model.fit_info.backend == "numpy"


def test_a_tensor_on_another_device_than_named_is_said_or_refused():
    torch = pytest.importorskip("torch")
    options = {"device": "cuda:99"}
    with pytest.raises(xlogreg.BackendUnavailableError, match="device='cuda:99' is not usable on this machine"):
        xlogreg.fit(torch.asarray(X), Y, fallback=False, **options)
    with pytest.warns(xlogreg.BackendFallbackWarning, match="Computing with torch on cpu instead"):
        model = xlogreg.fit(torch.asarray(X), Y, **options)
    assert model.fit_info.device == "cpu"


def test_each_warning_is_a_class_of_ours():
    ours = [getattr(xlogreg, name) for name in xlogreg.__all__ if name.endswith("Warning")]
    assert len(ours) == 9
    assert all(issubclass(warning, xlogreg.XlogregWarning) for warning in ours)


def test_the_table_of_bad_input_is_long():
    assert len(BAD) + len(ARRAYS) >= 80


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "options",
    [{}, {"solver": "lbfgs"}, {"solver": "gd"}, {"solver": "gd", "learning_rate": 0.1}, {"standardize": True}],
    ids=str,
)
def test_values_that_are_not_finite_are_located(where, value, options):
    message = f"X holds 1 value that is not finite .*: the first is {value} at row 1, column 7"
    with pytest.raises(ValueError, match=message):
        xlogreg.fit(where.asarray(spoiled(value)), Y, **options)
    with pytest.raises(ValueError, match=message.replace("row 1, column 7", "row 7, column 1")):
        xlogreg.fit(where.asarray(spoiled(value).T), Y, samples="rows", **options)


def test_all_values_that_are_not_finite_are_counted():
    bad = X.copy()
    bad[2] = np.nan
    bad[1, 30] = np.inf
    with pytest.raises(ValueError, match=r"X holds 41 values that are .*: the first is inf at row 1, column 30"):
        xlogreg.fit(bad, Y)


def test_predict_refuses_what_does_not_fit_the_model(where):
    model = xlogreg.fit(X, Y)
    rows = xlogreg.fit(X.T, Y, samples="rows")
    with pytest.raises(ValueError, match=r"X has 5 features \(shape \(5, 4\), samples='columns'\), the model has 3"):
        model.predict(where.asarray(np.ones((5, 4))))
    with pytest.raises(ValueError, match="did you pass samples as columns"):
        rows.predict(where.asarray(X))
    with pytest.raises(ValueError, match="the first is nan at row 1, column 7"):
        model.predict_proba(where.asarray(spoiled(np.nan)))


def test_evaluate_refuses_labels_that_the_model_does_not_have():
    model = xlogreg.fit(X, Y)
    with pytest.raises(ValueError, match=r"Y holds the label 7 \(sample 3\), which the model does not have"):
        model.evaluate(X, np.where(np.arange(M) == 3, 7, Y))
    with pytest.raises(ValueError, match=r"Y holds strings, the labels of the model are \[0, 1\]"):
        model.evaluate(X, ["a"] * M)
    with pytest.raises(ValueError, match=r"Y has the shape \(39,\)"):
        model.evaluate(X, Y[:39])
    for several in (np.stack([Y, Y, 1 - Y]), np.full((2, M), "a")):
        with pytest.raises(ValueError, match=r"Y holds 3 values for each sample|Y holds strings"):
            model.evaluate(X, several)
    words = xlogreg.fit(X, np.where(Y, "a", "b"))
    with pytest.raises(ValueError, match=r"Y holds the label 'c\\nd' \(sample 0\)"):
        words.evaluate(X, ["c\nd"] * M)


def test_evaluate_refuses_weights_that_vanish():
    with pytest.raises(ValueError, match=r"the sum of sample_weight is 0 in float32, too small"):
        xlogreg.fit(X, Y).evaluate(X.astype(np.float32), Y, np.full(M, 1e-60))


@pytest.mark.parametrize(("labels", "wrong"), [((100, 200), -56), ((-1, 1), 255), ((254, 300), 44)])
def test_labels_do_not_wrap_around_in_a_small_dtype(where, labels, wrong):
    model = xlogreg.fit(X, np.where(Y, *labels))
    with pytest.raises(ValueError, match=f"Y holds the label {wrong} "):
        model.evaluate(where.asarray(X), where.asarray(np.full(M, wrong), dtype="int8" if wrong < 0 else "uint8"))


def test_labels_too_large_for_a_library_are_predicted_in_numpy(where):
    labels = np.where(Y, 2**62, 2**62 + 1)
    predicted = xlogreg.fit(X, labels).predict(where.asarray(X))
    assert set(to_host(predicted).ravel().tolist()) == {2**62, 2**62 + 1}
