"""Bad input gets one clear error: which argument, what came, what is right."""

import numpy as np
import pytest

import xlogreg

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
BAD = [
    # argument, call, error, what the message says
    ("X empty", {"X": np.zeros((3, 0)), "Y": []}, ValueError, r"X is empty: its shape is \(3, 0\)"),
    ("X without features", {"X": np.zeros((0, 40))}, ValueError, "X is empty"),
    ("X 1-d", {"X": X[0]}, ValueError, r"X must have the shape \(n_x, m\), one sample a column; got \(40,\)"),
    ("X 3-d", {"X": X[None]}, ValueError, r"X must have the shape .* got \(1, 3, 40\)"),
    ("X complex", {"X": X + 1j}, TypeError, "X must hold numbers; got ndarray of complex128"),
    ("X of strings", {"X": X.astype(str)}, TypeError, "X must hold numbers"),
    ("X of objects", {"X": X.astype(object)}, TypeError, "X must hold numbers; got ndarray of object"),
    ("X ragged", {"X": [[1.0, 2.0], [3.0]]}, ValueError, "X is ragged"),
    ("X masked", {"X": np.ma.masked_less(X, 0)}, TypeError, "X is a masked array.*fill or drop"),
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
    ("Y NaN", {"Y": np.where(Y == 1, np.nan, 0.0)}, ValueError, "Y holds values that are not finite"),
    ("Y of objects", {"Y": np.asarray([{}] * 40)}, TypeError, "Y must hold numbers or strings"),
    ("Y not one-hot", {"Y": hot(THREE) + hot(THREE[::-1])}, ValueError, "Y has 3 rows.*not one-hot"),
    ("Y one-hot, class absent", {"Y": hot(Y)}, ValueError, "Y has no sample of class 2"),
    ("Y above 1", {"Y": Y * 1.5, "targets": "probabilities"}, ValueError, r"Y must lie in \[0, 1\].*from 0.0 to 1.5"),
    ("Y columns", {"Y": hot(THREE) * 0.5, "targets": "probabilities"}, ValueError, "columns of Y must sum to one"),
    ("Y all 0", {"Y": Y * 0.0, "targets": "probabilities"}, ValueError, "Y gives class 1 no probability"),
    ("weight too short", {"sample_weight": np.ones(39)}, ValueError, r"sample_weight must have the shape \(40,\)"),
    ("weight negative", {"sample_weight": np.full(40, -1.0)}, ValueError, "sample_weight must not be negative.*-1.0"),
    ("weight zero", {"sample_weight": np.zeros(40)}, ValueError, "sample_weight is zero for every sample$"),
    ("weight NaN", {"sample_weight": np.full(40, np.nan)}, ValueError, "sample_weight holds values that are not fin"),
    ("weight erases", {"sample_weight": Y * 1.0}, ValueError, "sample_weight is zero for every sample of class 0"),
    ("weight text", {"sample_weight": ["a"] * 40}, TypeError, "sample_weight must hold numbers"),
    ("samples", {"samples": "lines"}, ValueError, "samples must be 'columns' or 'rows', not 'lines'"),
    ("targets", {"targets": "soft"}, ValueError, "targets must be 'labels' or 'probabilities', not 'soft'"),
    ("solver", {"solver": "sgd"}, ValueError, "solver must be one of 'auto', 'gd', 'newton', 'lbfgs', not 'sgd'"),
    ("loss", {"loss": "hinge"}, ValueError, "loss must be one of 'log_loss', 'squared_error', not 'hinge'"),
    ("backend", {"backend": "tpu"}, ValueError, "backend 'tpu' is unknown; usable on this machine"),
    ("backend module", {"backend": np}, TypeError, "backend must be a name such as 'cupy', not module"),
    ("dtype", {"dtype": "float16"}, ValueError, "dtype must be 'float32' or 'float64'"),
    ("l2 negative", {"l2": -1.0}, ValueError, "l2 must be a finite number >= 0, not -1.0"),
    ("l2 NaN", {"l2": float("nan")}, ValueError, "l2 must be a finite number >= 0, not nan"),
    ("l2 bool", {"l2": True}, TypeError, "l2 must be a finite number >= 0, not True"),
    ("l2 text", {"l2": "1"}, TypeError, "l2 must be a finite number >= 0, not '1'"),
    ("rate zero", {"solver": "gd", "learning_rate": 0.0}, ValueError, "learning_rate must be 'auto' or a finite numb"),
    ("rate infinite", {"solver": "gd", "learning_rate": np.inf}, ValueError, "learning_rate must be"),
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
    with pytest.raises(error, match=message):
        xlogreg.fit(**({"X": X, "Y": Y} | options))


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


def test_sparse_matrices_are_refused():
    scipy_sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match="X must hold numbers; got csr_array"):
        xlogreg.fit(scipy_sparse.csr_array(X), Y)
