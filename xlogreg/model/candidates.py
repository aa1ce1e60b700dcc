"""Score tests of features that a model does not have; a method of `Model`."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from xlogreg.arrays.matrix import Matrix
from xlogreg.exceptions import shown
from xlogreg.inference.candidates import Null, score_candidates
from xlogreg.inference.minimum import regular_inverse
from xlogreg.inference.sandwich import class_basis, reduced
from xlogreg.inference.significance import Tests
from xlogreg.inputs.door import take_features
from xlogreg.inputs.matrices import other_way
from xlogreg.inputs.tables import is_collection
from xlogreg.math.losses import LOSSES
from xlogreg.math.sums import gradient_terms
from xlogreg.model.given import fitted_samples
from xlogreg.model.likelihoods import expect_plain, parameters_at, sums_at_fit
from xlogreg.model.to_sklearn import has_bias
from xlogreg.samples.source import Samples, host_center
from xlogreg.samples.threads import holds_threads

__all__ = ["score_test"]

LISTED = 8  # so many candidates are named in an error


@holds_threads
def score_test(
    model: Any,
    X: Any,
    Y: Any = None,
    candidates: Any = None,
    sample_weight: Any = None,
    names: Sequence[str] | None = None,
    targets: str = "labels",
    offset: Any = None,
) -> Tests:
    """Test each of many further features by Rao's score test: whether the model lacks it. Nothing is fitted again.

    The statistic of a candidate g is U'V^-1 U with the score U = sum s (y - a) g and the efficient information
    V = V_gg - V_gx V_xx^-1 V_xg (Cox & Hinkley, Theoretical Statistics, 1974, section 9.3). For many samples it agrees
    with the likelihood-ratio and the Wald test of a model with the candidate. All candidates take one pass over X and
    one over the candidates, in blocks: these need not fit in memory as floats.

    Parameters
    ----------
    X, Y, sample_weight, targets, offset
        The samples that the model was fitted to, as for `xlogreg.fit`. A dask collection is brought to this process.
    candidates : array (G, m), or (m, G) for a model of rows
        Further features of the same samples, in the layout of the model's samples: an array of any dtype (such as int8
        for genotypes) and library, a sparse matrix, a table of numbers, a memory map, or data sets with slices, as of
        h5py and zarr.
    names : sequence of str, optional
        Names of the candidates; by default those of the table, or "candidate 0" and so on.

    Returns
    -------
    Tests
        A row for each candidate, with one degree of freedom, or K - 1 for K classes. A candidate that is constant, or a
        combination of features of X, has a statistic of NaN and no degrees of freedom; the note counts them.

    Raises
    ------
    ValueError, TypeError
        If these are not the samples of the fit; if the model is penalised, not converged, or its classes are separated;
        if the candidates have another number of samples; or if they hold values that are missing or infinite.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> X, Y = np.asarray([[-2.0, -1.0, 0.5, 1.0, 2.0, 3.0]]), [0, 1, 0, 1, 0, 1]
    >>> genotypes = np.asarray([[0, 1, 0, 1, 0, 2], [1, 1, 2, 0, 2, 1]], dtype=np.int8)
    >>> print(xlogreg.fit(X, Y).score_test(X, Y, genotypes))
    score tests
                   chi2  df       p
    candidate 0  5.0353   1  0.0248
    candidate 1  3.5825   1  0.0584
    """
    expect_plain(model, "score test")
    if candidates is None or is_collection(candidates):
        what = "a collection of dask, which only X may be" if candidates is not None else "None"
        raise TypeError(f"candidates must be an array, a table or a file of features of the same samples; got {what}")
    with _called("candidates"):
        features = take_features(candidates, model.samples)
    samples = fitted_samples(model, X, Y, sample_weight, targets, offset)
    given = features.X
    if given.m != samples.m:
        raise ValueError(
            f"candidates have {given.m} samples (shape {given.shape}, samples={model.samples!r}), X has {samples.m}"
            + (other_way(model.samples) if given.n_x == samples.m else "")
        )
    called = _names(names, features.names, given)
    null = _null(model, samples)
    statistics, flawed = score_candidates(null, given)
    if flawed.any():
        numbers = np.flatnonzero(flawed)
        listed = ", ".join(map(str, numbers[:LISTED].tolist())) + (", ..." if len(numbers) > LISTED else "")
        raise ValueError(
            f"candidates hold values that are missing, infinite or too large, in {len(numbers)} of {given.n_x}: number "
            f"{listed}; fill in their values or leave them out"
        )
    lost = int(np.isnan(statistics).sum())
    note = f"{lost} of {len(statistics)} are constant or combinations of features of X: no test" if lost else ""
    df = np.where(np.isnan(statistics), 0, null.basis.shape[1])
    return Tests.of("score tests", called, statistics, df, note)


@contextlib.contextmanager
def _called(name: str) -> Iterator[None]:
    """Let errors about X speak of an argument of this name."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(re.sub(r"\bX\b", name, str(error))) from None


def _names(names: Sequence[str] | None, own: tuple[str, ...] | None, candidates: Matrix) -> list[str]:
    if names is None:
        return list(own) if own is not None else [f"candidate {number}" for number in range(candidates.n_x)]
    sized = not isinstance(names, str) and hasattr(names, "__len__")
    if not sized or len(names) != candidates.n_x:
        count = str(len(names)) if sized else "one value"
        raise ValueError(f"names must be {candidates.n_x} texts, one for each candidate; got {count} {shown(names)}")
    return [str(name) for name in names]


def _null(model: Any, samples: Samples) -> Null:
    """Gather what the null model needs, with its samples in this process."""
    sums, loss, bias = sums_at_fit(model, samples), LOSSES[model.loss], has_bias(model)
    source: Any = samples if samples.is_here else samples.gathered().widened()
    source = source.uncentered()
    source = source.centered(sums.center) if source.shifts else source
    own, basis = host_center(source), class_basis(model.w.shape[1])
    theta = parameters_at(model)(own)
    _, slopes = source.sum(gradient_terms, theta, loss)
    slopes = np.asarray(slopes)[:, 0, :]
    slopes = np.concatenate([slopes[:-1] - (sums.center - own) * slopes[-1:], slopes[-1:]]) @ basis
    F = reduced(sums.hessian, basis, len(theta))
    curvature = F[-basis.shape[1] :, -basis.shape[1] :] if bias else None
    inverse = regular_inverse(sums, basis, bias)
    return Null(source, theta, loss, basis, sums.center, inverse, -slopes.ravel(), curvature)
