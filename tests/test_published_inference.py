"""Tables of coefficients of published data: those of fifty digits, of statsmodels, and of R's logistf."""

import json
from pathlib import Path

import numpy as np
import pytest
from published_data import SEPARATED, clusters_of, endometrial, separated, sex2
from reference_data import TABLES, entry_of

import xlogreg

SMALL = ("spector", "o_rings", "lbw")
BAR = 1e-6  # relative error that is promised; what fits reach is named beside each
# columns of a summary -> names in the reference, with the largest relative error that any data set has
COLUMNS = {
    "coefficient": ("coefficients", 1e-12),
    "standard_error": ("errors", 1e-8),
    "z": ("z", 1e-8),
    "lower": ("lower", 1e-7),
    "upper": ("upper", 1e-7),
}

# R's and Stata's logit of lbw.dta, as statsmodels has it in genmod/tests/results/results_glm.py (Lbw). Its errors are
# those of weights one iteration before the last, as iterated least squares have them.
PUBLISHED = {
    "coefficients": "-.02710031 -.01515082 1.26264728 .86207916 .92334482 .54183656 1.83251780 .75851348 .46122388",
    "errors": ".036449917 .006925765 .526405169 .439146744 .400820976 .346246857 .691623875 .459373871 1.204574885",
    "log_likelihood": "-100.7239955662511",
    "null_log_likelihood": "-117.3359980966095",  # half of the null deviance
}
# R's logistf, as firthlogist has it in tests/test_firthlogist.py; it stops at changes of 1e-5
LOGISTF = {
    "endometrial": {
        "coefficients": "2.92927330 -0.03475175 -2.60416387 3.77455951",
        "profile_lower": "0.6097244 -0.1244587 -4.3651832 1.0825371",
        "profile_upper": "7.85463171 0.04045547 -1.23272106 7.20928050",
    },
    "sex2": {
        "coefficients": "-1.10598131 -0.06881673 2.26887464 -2.11140817 -0.78831694 3.09601166 0.12025405",
        "profile_lower": "-1.9737884 -0.9414363 1.2730216 -3.2608611 -1.6080879 0.7745682 -0.8185591",
        "profile_upper": "-0.30742514 0.78920202 3.43543273 -1.11773495 0.01518468 8.03029352 1.07315122",
    },
}
FIRTH = {"endometrial": endometrial, "sex2": sex2}
FIRTHMODELS = json.loads(Path(__file__).with_name("firth_reference.json").read_text())
# columns of Firth's data, outcome last -> their sums
SUMS = {"endometrial": (13.0, 1373.0, 131.27, 30.0), "sex2": (38.0, 156.0, 127.0, 80.0, 59.0, 7.0, 130.0)}


def numbers(text):
    return np.asarray(text.split(), dtype=float)


def table_of(name, key):
    return np.asarray(entry_of(name)["table"][key], dtype=float)


def fitted(name, where=None):
    """A model, and what it was fitted to as arguments: proportions weighted by numbers of students for star98."""
    X, Y = TABLES[name]()
    samples = {"X": X if where is None else where.asarray(X), "Y": Y}
    if Y.ndim == 2:
        samples |= {"Y": Y[1] / Y.sum(axis=0), "sample_weight": Y.sum(axis=0), "targets": "probabilities"}
    return xlogreg.fit(**samples), samples


def check_table(name, model):
    table = model.summary().table
    for column, (key, tolerance) in COLUMNS.items():
        np.testing.assert_allclose(table[column], table_of(name, key), rtol=tolerance, err_msg=column)
    far = np.abs(table["log_p"] - table_of(name, "log_p"))
    assert np.all(far <= 1e-8 * (1 + table_of(name, "z") ** 2))
    assert model.log_likelihood == pytest.approx(table_of(name, "log_likelihood"), rel=1e-14)
    assert model.fit_info.null_log_likelihood == pytest.approx(table_of(name, "null_log_likelihood"), rel=1e-14)


def check_errors(name, model, samples, kind, key, tolerance, **options):
    covariance = model.covariance_of(**samples, kind=kind, **options)
    found = model.summary(covariance=covariance).table["standard_error"]
    np.testing.assert_allclose(found, table_of(name, key), rtol=tolerance)


# what the reference is


@pytest.mark.parametrize("name", ["endometrial", "sex2"])
def test_the_data_of_firth_have_their_sums(name):
    X, Y = FIRTH[name]()
    assert X.shape[1] == len(Y) == {"endometrial": 79, "sex2": 239}[name]
    np.testing.assert_allclose(np.append(X.sum(axis=1), Y.sum()), SUMS[name], rtol=1e-14)


def test_the_births_have_the_table_that_is_published():
    for key, text in PUBLISHED.items():
        tolerance = 2e-5 if key == "errors" else 5e-7
        np.testing.assert_allclose(table_of("lbw", key), numbers(text).squeeze(), rtol=tolerance)


@pytest.mark.parametrize("name", list(LOGISTF))
def test_the_data_of_firth_have_the_estimates_of_logistf(name):
    entry = entry_of(f"firth {name}")
    for key, text in LOGISTF[name].items():
        np.testing.assert_allclose(np.asarray(entry[key], dtype=float), numbers(text), rtol=1e-6)


@pytest.mark.parametrize("name", list(FIRTH))
def test_the_data_of_firth_have_the_estimates_of_firthmodels(name):
    entry, theirs = entry_of(f"firth {name}"), FIRTHMODELS[name]
    pairs = {"coefficients": "coefficients", "augmented_errors": "errors"}
    pairs |= {"profile_lower": "lower", "profile_upper": "upper"}
    for ours, key in pairs.items():
        np.testing.assert_allclose(np.asarray(entry[ours], dtype=float), theirs[key], rtol=1e-8, err_msg=key)
    np.testing.assert_allclose(np.exp(np.asarray(entry["log_p"], dtype=float)), theirs["p"], rtol=1e-8)


def statsmodels_fit(name, **covariance):
    """Results of statsmodels, stopped at 1e-12."""
    api = pytest.importorskip("statsmodels.api", reason="its values are compared with those of the reference")
    X, Y = TABLES[name]()
    rows = np.vstack([X, np.ones(X.shape[1])]).T
    if name == "star98":
        model, options = api.GLM(Y[::-1].T, rows, family=api.families.Binomial()), {"tol_criterion": "params"}
    else:
        model, options = (api.MNLogit if name == "anes96" else api.Logit)(Y, rows), {"method": "newton", "disp": 0}
    return model.fit(tol=1e-12, maxiter=100, **options, **covariance)


def flat(values):
    return np.asarray(values).T.ravel()


@pytest.mark.parametrize("name", list(TABLES))
def test_the_reference_has_the_table_of_statsmodels(name):
    plain, robust = statsmodels_fit(name), statsmodels_fit(name, cov_type="HC0")
    groups = clusters_of(name, TABLES[name]()[0])
    clustered = statsmodels_fit(name, cov_type="cluster", cov_kwds={"groups": groups})
    interval = np.asarray(plain.conf_int()).reshape(-1, 2)
    for values, key in (
        (flat(plain.params), "coefficients"),
        (flat(plain.bse), "errors"),
        (flat(plain.tvalues), "z"),
        (interval[:, 0], "lower"),
        (interval[:, 1], "upper"),
        (flat(robust.bse), "HC0"),
        (flat(clustered.bse), "cluster"),
    ):
        np.testing.assert_allclose(values, table_of(name, key), rtol=1e-8, err_msg=key)
    constant = table_of(name, "binomial_constant") if name == "star98" else 0.0
    assert plain.llf - constant == pytest.approx(table_of(name, "log_likelihood"), rel=1e-12)
    assert plain.llnull - constant == pytest.approx(table_of(name, "null_log_likelihood"), rel=1e-8)


# what ours is


@pytest.mark.parametrize("name", list(TABLES))
def test_summaries_have_the_table_of_fifty_digits(name):
    check_table(name, fitted(name)[0])


@pytest.mark.parametrize("name", ["spector", "lbw"])
def test_summaries_of_every_namespace_have_the_table_of_fifty_digits(where64, name):
    check_table(name, fitted(name, where64)[0])


@pytest.mark.parametrize("name", [name for name in TABLES if name != "star98"])
def test_robust_errors_are_those_of_fifty_digits(name):
    model, samples = fitted(name)
    check_errors(name, model, samples, "fisher", "errors", 1e-12)
    check_errors(name, model, samples, "HC0", "HC0", 1e-12)
    check_errors(name, model, samples, "cluster", "cluster", 1e-12, groups=clusters_of(name, samples["X"]))


def test_robust_errors_of_every_namespace_are_those_of_fifty_digits(where64):
    model, samples = fitted("lbw", where64)
    check_errors("lbw", model, samples, "HC0", "HC0", 1e-11)
    check_errors("lbw", model, samples, "cluster", "cluster", 1e-11, groups=clusters_of("lbw", TABLES["lbw"]()[0]))


def test_proportions_have_the_robust_errors_of_single_students_by_frequency_weights():
    model, samples = fitted("star98")
    check_errors("star98", model, samples, "fisher", "errors", BAR)
    check_errors("star98", model, samples, "HC0", "HC0_of_single_samples", BAR)


def test_proportions_have_the_robust_errors_of_districts_by_importance_weights():
    model, samples = fitted("star98")
    check_errors("star98", model, samples, "HC0", "HC0", BAR, weights="importance")
    groups = clusters_of("star98", samples["X"])
    check_errors("star98", model, samples, "cluster", "cluster", BAR, weights="importance", groups=groups)


def test_counts_in_two_rows_have_the_errors_of_single_students():
    X, counts = TABLES["star98"]()
    samples = {"X": np.hstack([X, X]), "Y": np.repeat([0, 1], X.shape[1]), "sample_weight": counts.ravel()}
    model = xlogreg.fit(**samples)
    np.testing.assert_allclose(model.summary().table["coefficient"], table_of("star98", "coefficients"), rtol=1e-11)
    check_errors("star98", model, samples, "HC0", "HC0_of_single_samples", BAR)


def test_the_binomial_constant_is_the_difference_to_the_likelihood_of_counts():
    model, _ = fitted("star98")
    expected = statsmodels_fit("star98").llf
    assert model.log_likelihood + table_of("star98", "binomial_constant") == pytest.approx(expected, rel=1e-12)


# Firth's bias reduction


def check_firth(entry, X, Y, tolerance):
    """All that a table of Firth's bias reduction prints, the bias last."""
    expected = {key: np.asarray(values, dtype=float) for key, values in entry.items()}
    model = xlogreg.fit(X, Y, bias_reduction="firth", tol=1e-13)
    np.testing.assert_allclose(np.append(model.w, model.b), expected["coefficients"], rtol=tolerance)
    errors = model.standard_errors()
    np.testing.assert_allclose(np.append(errors.w, errors.b), expected["errors"], rtol=tolerance)
    augmented = model.covariance_of(X, Y, kind="augmented").matrix
    np.testing.assert_allclose(np.sqrt(augmented.diagonal()), expected["augmented_errors"], rtol=tolerance)
    ends = model.profile_interval(X, Y).table
    for key in ("lower", "upper"):
        np.testing.assert_allclose(ends[key], expected[f"profile_{key}"], rtol=tolerance, err_msg=key)
    tests = model.drop_one(X, Y).table
    # twice a difference of penalised log-likelihoods, of which even a small one has the rounding of the large ones
    np.testing.assert_allclose(tests["statistic"], expected["chi_squares"][:-1], rtol=tolerance, atol=1e-7)
    np.testing.assert_allclose(tests["p"], np.exp(expected["log_p"][:-1]), rtol=1e-5)


@pytest.mark.parametrize("name", list(FIRTH))
def test_the_data_of_firth_have_the_estimates_of_fifty_digits(name):
    check_firth(entry_of(f"firth {name}"), *FIRTH[name](), 1e-7)


@pytest.mark.slow
def test_fifty_separated_sets_have_the_estimates_of_fifty_digits():
    assert len(SEPARATED) == 50
    for seed in SEPARATED:
        check_firth(entry_of(f"firth separated {seed}"), *separated(seed), 1e-5)
