"""The likelihood-ratio test of two fitted models, one of which is a special case of the other."""

import numpy as np

from xlogreg.exceptions import shown
from xlogreg.inference.significance import Test
from xlogreg.model.likelihoods import expect_plain
from xlogreg.model.model import Model
from xlogreg.model.to_sklearn import has_bias

__all__ = ["likelihood_ratio_test"]

NAMED = 4  # so many coefficients that are tested are named, more are counted
LIKE = 1e-6  # relative difference of weights, or of log-likelihoods, that rounding to float32 may make


def likelihood_ratio_test(small: Model, large: Model) -> Test:
    """Test whether a model is as good as a larger one that contains it, by the ratio of their likelihoods (Wilks 1938).

    The statistic is twice the difference of the log-likelihoods, the degrees of freedom are the difference of the
    numbers of free parameters. No samples are needed.

    Parameters
    ----------
    small, large : Model
        Fitted to the same samples without a penalty; every model of ``small`` must also be one of ``large``. This is
        checked as far as can be: by the number of samples, their weights, the classes, the log-likelihood without
        features, and the names of the features if both have names.

    Returns
    -------
    Test

    Raises
    ------
    TypeError
        If either is no model.
    ValueError
        If a model is penalised, not converged, or its classes are separated; if the models were fitted to other
        samples; or if they are not nested.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> X, Y = np.asarray([[-2.0, -1.0, 0.5, 1.0, 2.0, 3.0], [1.0, 0.0, 1.0, 1.0, 0.0, 0.0]]), [0, 1, 0, 1, 0, 1]
    >>> print(xlogreg.likelihood_ratio_test(xlogreg.fit(X[:1], Y), xlogreg.fit(X, Y)))
    likelihood-ratio test of 1 parameter: chi2 0.390832 with 1 degree of freedom, p 0.5319
    """
    for name, model in (("small", small), ("large", large)):
        if not isinstance(model, Model):
            raise TypeError(f"{name} must be a fitted Model; got {shown(model)}")
        expect_plain(model, f"likelihood-ratio test of the {name} model")
    _expect_same_samples(small, large)
    _expect_nested(small, large)
    df = _parameters(large) - _parameters(small)
    if df <= 0:
        raise ValueError(
            f"large must have more free parameters than small; it has {_parameters(large)}, small has "
            f"{_parameters(small)}. Did you swap them?"
        )
    gain = large.log_likelihood - small.log_likelihood
    if gain < -LIKE * abs(small.log_likelihood):
        raise ValueError(
            f"the log-likelihood of large, {large.log_likelihood:.9g}, is below that of small, "
            f"{small.log_likelihood:.9g}: the models are not nested, or were fitted to other samples"
        )
    return Test("likelihood-ratio test", _hypothesis(small, large, df), max(2.0 * gain, 0.0), df)


def _expect_same_samples(small: Model, large: Model) -> None:
    a, b = small.fit_info, large.fit_info
    if small.loss != large.loss or not np.array_equal(small.classes, large.classes):
        raise ValueError(
            f"the models have other classes: {shown(small.classes.tolist())} and {shown(large.classes.tolist())}"
        )
    if small.offset != large.offset:
        raise ValueError("one of the models has an offset, the other has none; fit both with the same offset")
    if None not in (a.n_samples, b.n_samples) and a.n_samples != b.n_samples:
        raise ValueError(
            f"the models were fitted to {a.n_samples} and {b.n_samples} samples; fit both to the same ones"
        )
    if a.total_weight is not None and b.total_weight is not None and _differ(a.total_weight, b.total_weight):
        raise ValueError(
            f"the weights of the samples add up to {a.total_weight:.9g} for small and {b.total_weight:.9g} for large; "
            "fit both with the same sample_weight"
        )
    if has_bias(small) == has_bias(large) and _differ(a.null_log_likelihood, b.null_log_likelihood):
        raise ValueError(
            f"the log-likelihoods without features differ: {a.null_log_likelihood:.9g} for small and "
            f"{b.null_log_likelihood:.9g} for large; fit both to the same Y"
        )


def _expect_nested(small: Model, large: Model) -> None:
    if has_bias(small) and not has_bias(large):
        raise ValueError("the models are not nested: small has a bias, and large has none")
    if small.feature_names is not None and large.feature_names is not None:
        others = [name for name in small.feature_names if name not in large.feature_names]
        if others:
            raise ValueError(f"the models are not nested: large lacks the feature {others[0]!r} of small")


def _differ(a: float, b: float) -> bool:
    return not abs(a - b) <= LIKE * max(abs(a), abs(b))


def _parameters(model: Model) -> int:
    """Number of free parameters that the samples determine."""
    known = model.fit_info.rank
    full = (model.w.shape[0] + has_bias(model)) * max(1, model.w.shape[1] - 1)
    return full if known is None else int(known)


def _hypothesis(small: Model, large: Model, df: int) -> str:
    if small.feature_names is not None and large.feature_names is not None:
        names = [name for name in large.feature_names if name not in small.feature_names]
        if 0 < len(names) <= NAMED:
            return ", ".join(f"{name} = 0" for name in names)
    return f"{df} parameter{'s' if df > 1 else ''}"
