"""Options that are none: every option of every function names itself in its error, whatever it is handed."""

from fractions import Fraction

import numpy as np
import pytest

import xlogreg

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 40))
Y = (X[0] + RNG.logistic(size=40) > 0).astype(int)
PAIR = np.zeros((2, 1)), np.zeros((1, 1))

ANYTHING = {
    "an array": np.asarray(["rows", "numpy"]),
    "an array of numbers": np.asarray([1.0, 2.0]),
    "an array of objects": np.asarray([None, 1], dtype=object),
    "a list": [None, "auto"],
    "bytes": b"rows",
    "an object": object(),
    "a complex number": 1j,
    "an integer of thousands of digits": -(10**5000),
}
NUMBERS = {
    "an integer too large for a float": 10**400,
    "an integer too large to be written": 10**5000,
    "a fraction too large for a float": Fraction(10**400),
    "NaN": np.nan,
    "a string": "1",
    "an array of one": np.ones(1),
}
FIT = (
    "samples",
    "backend",
    "dtype",
    "bias",
    "targets",
    "standardize",
    "max_iter",
    "tol",
    "rng",
    "fallback",
    "penalty_factor",
)
GROUPS = ("multinomial", "penalty")
CALLS = {
    "fit": (
        lambda **options: xlogreg.fit(X, Y, **options),
        (
            *FIT,
            *GROUPS,
            "solver",
            "loss",
            "l2",
            "learning_rate",
            "time_limit",
            "initial",
            "sample_weight",
            "callback",
        ),
    ),
    "fit_many": (
        lambda **options: xlogreg.fit_many(X, [Y], **options),
        (*FIT, *GROUPS, "initials", "l2s", "sample_weights"),
    ),
    "fit_path": (
        lambda l2s=1.0, **options: xlogreg.fit_path(X, Y, l2s, **options),
        (*FIT, *GROUPS, "l2s", "sample_weight"),
    ),
    "fit_cv": (
        lambda l2s=1.0, **options: xlogreg.fit_cv(X, Y, l2s, **options),
        (*FIT, *GROUPS, "l2s", "folds", "groups", "rule", "scoring"),
    ),
    "bootstrap": (lambda replicates=2, **options: xlogreg.bootstrap(X, Y, replicates, **options), (*FIT, "l2")),
    "interval": (lambda level: xlogreg.bootstrap(X, Y, 2, l2=1.0).interval(level), ("level",)),
    "open_parts": (lambda samples: xlogreg.open_parts(".", samples=samples), ("samples",)),
    "to": (lambda backend: xlogreg.fit(X, Y).to(backend), ("backend",)),
}
OPTIONS = [(function, name) for function, (_, names) in CALLS.items() for name in names]
OF_NUMBERS = ("l2", "l2s", "tol", "time_limit", "learning_rate", "standardize", "level")


@pytest.mark.parametrize("kind", ANYTHING)
@pytest.mark.parametrize(("function", "name"), OPTIONS)
def test_what_is_no_option_is_refused_by_its_name(function, name, kind):
    if name in ("l2s", "penalty_factor") and kind == "an array of numbers":
        pytest.skip(reason="an array of numbers is a valid list of penalties, and valid factors")
    with pytest.raises((ValueError, TypeError), match=f"^{name.removesuffix('s')}") as caught:
        CALLS[function][0](**{name: ANYTHING[kind]})
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize(("function", "name"), [option for option in OPTIONS if option[1] in OF_NUMBERS])
def test_what_is_no_finite_number_is_refused_by_name(function, name, kind):
    if name == "l2s" and kind == "an array of one":
        pytest.skip(reason="an array of one number is a valid list of penalties")
    with pytest.raises((ValueError, TypeError), match=f"^{name}") as caught:
        CALLS[function][0](**{name: NUMBERS[kind]})
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("value", [1.0, "s", np.asarray(1.0), (1.0,), [1.0], [PAIR[0]], []])
def test_starts_of_many_models_that_are_none_are_refused_by_name(value):
    with pytest.raises(TypeError, match=r"^initials must be a Model, a pair \(w, b\), or a list of them or None, not "):
        xlogreg.fit_many(X, [Y], initials=value)


@pytest.mark.parametrize("value", ["s", b"s", {}, object(), 10**400])
@pytest.mark.parametrize("part", [0, 1])
def test_a_start_that_holds_no_numbers_is_refused_by_name(part, value):
    start = list(PAIR)
    start[part] = value
    with pytest.raises((TypeError, ValueError), match=r"^initial must hold"):
        xlogreg.fit(X, Y, initial=tuple(start))


@pytest.mark.parametrize("value", [None, "s", 1.5, [1, 2]])
@pytest.mark.parametrize("name", ["folds", "groups"])
def test_folds_that_are_none_are_refused_by_name(name, value):
    if name == "groups" and value is None:
        pytest.skip(reason="groups=None is valid: there are none")
    with pytest.raises((ValueError, TypeError), match=f"^{name}"):
        xlogreg.fit_cv(X, Y, [1.0], **{name: value})


def test_folds_and_groups_may_be_lists_and_objects():
    numbers = [0, 1] * 20
    expected = xlogreg.fit_cv(X, Y, [1.0], folds=np.asarray(numbers)).scores["log_loss"]
    for folds in (
        numbers,
        np.asarray(numbers, dtype=object),
        list("ab") * 20,
        np.asarray(list("ab") * 20, dtype=object),
    ):
        np.testing.assert_array_equal(xlogreg.fit_cv(X, Y, [1.0], folds=folds).scores["log_loss"], expected)
        assert len(xlogreg.fit_cv(X, Y, [1.0], folds=2, groups=folds).scores["log_loss"]) == 2


def test_a_penalty_may_be_any_real_number():
    half = xlogreg.fit(X, Y, l2=0.5).w
    np.testing.assert_array_equal(xlogreg.fit(X, Y, l2=Fraction(1, 2)).w, half)
    np.testing.assert_array_equal(xlogreg.bootstrap(X, Y, 2, l2=Fraction(1, 2)).model.w, half)


@pytest.mark.parametrize("name", ["C", "tol", "fit_intercept", "warm_start", "random_state", "solver", "penalty"])
@pytest.mark.parametrize("kind", [*ANYTHING, "a number for another"])
def test_parameters_of_the_estimators_are_refused_by_name(name, kind):
    pytest.importorskip("sklearn")
    value = ANYTHING.get(kind, 10**400 if name in ("C", "tol") else -1)
    for estimator in (xlogreg.LogisticRegression, xlogreg.LogisticRegressionCV):
        own = {"C": "Cs"}.get(name, name) if estimator is xlogreg.LogisticRegressionCV else name
        if own in ("Cs", "warm_start") and estimator is xlogreg.LogisticRegressionCV:
            continue
        with pytest.raises((ValueError, TypeError), match=f"^{own}"):
            estimator(**{own: value}).fit(X.T, Y)


@pytest.mark.parametrize("value", ["s", None, np.asarray(["a"]), [10**400], 1j, [[1.0]], {}])
def test_a_grid_that_is_none_is_refused_by_name(value):
    pytest.importorskip("sklearn")
    with pytest.raises(ValueError, match=r"^Cs must be a list of numbers above 0"):
        xlogreg.LogisticRegressionCV(Cs=value).fit(X.T, Y)
