"""Samples handed to a fitted model, with labels among its own: from memory, files, a factory or a dask collection."""

from typing import Any

import numpy as np

from xlogreg.arrays.place import to_host
from xlogreg.inputs.door import Features, take_features
from xlogreg.inputs.labels import Targets, as_weight, encode_truth
from xlogreg.inputs.matrices import as_array, computing_dtype
from xlogreg.inputs.offsets import as_offset, expect_outputs
from xlogreg.inputs.tables import is_collection
from xlogreg.model.encoded_labels import labels_in
from xlogreg.model.on_cluster import expect_usable, samples_on_dask
from xlogreg.samples.cluster.distributed import Distributed
from xlogreg.samples.files.factory import take_in
from xlogreg.samples.memory import InMemory
from xlogreg.samples.source import Columns, Samples

__all__ = [
    "are_fitted",
    "expect_likelihood",
    "featured",
    "fitted_samples",
    "group_numbers",
    "labelled",
    "source_of",
]

LIKE = {"float64": 1e-6, "float32": 1e-3}  # relative error of a log-likelihood that is computed once more


def source_of(model: Any, X: Any, offset: Any = None) -> InMemory:
    """Return the samples of X without labels, centred as those of the fit, with their offset.

    Raises
    ------
    ValueError
        If the model has no parameters, or if it was fitted with an offset, and there is none.
    """
    expect_usable(model, offset)
    if isinstance(X, Features):
        features = X
    else:
        features = take_features(X, model.samples, model.feature_names, model.w.shape[0], model.encoding)
    matrix = features.X
    place, offset = matrix.home, as_offset(offset, matrix.m, model.samples, len(model.classes))
    with place.computing():
        offset = None if offset is None else place.put(offset, place.widest)
    source = InMemory(matrix, Columns(offset=offset), place, computing_dtype(matrix), 0.0)
    return source if model.center is None else source.centered(model.center)


def labelled(
    model: Any, X: Any, Y: Any, sample_weight: Any = None, targets: str = "labels", offset: Any = None
) -> InMemory | Distributed:
    """Return samples with labels, or probabilities, of the model's classes.

    Parameters
    ----------
    model : Model
    X, Y, sample_weight, offset
        As for `xlogreg.fit`. A factory brings its own Y and weights. A model of a formula finds Y in X if it is None.
    targets : {"labels", "probabilities"}
    """
    if is_collection(X):
        return samples_on_dask(model, X, Y, sample_weight, targets, offset)
    if callable(X):
        if Y is not None or sample_weight is not None:
            raise ValueError("X is a factory of blocks, which hold Y and the weights: leave Y and sample_weight out")
        features, Y, sample_weight = take_in(X, model.samples, encoding=model.encoding)
        Y = Y.T if model.samples == "rows" and Y.shape[0] > 1 else Y
        X = _expected(model, features)
    Y = labels_in(model, X) if Y is None else Y
    source = source_of(model, X, offset)
    weight = as_weight(sample_weight, source.m)
    return source.holding(encode_truth(Y, source.X.shape, model.samples, model.classes, targets), weight)


def featured(model: Any, X: Any, sample_weight: Any = None, offset: Any = None) -> InMemory | Distributed:
    """Return samples without labels whose sums can be taken: all of their targets are zero.

    A factory brings its own weights.
    """
    if is_collection(X):
        samples = samples_on_dask(model, X, None, sample_weight, "none", offset)
        if samples.has_offset:
            expect_outputs(samples.parts.offset, len(model.classes), samples.m, model.samples)
        return samples.sharing(Columns(np.zeros((1, samples.m), np.uint8)), None, None)
    if callable(X):
        return labelled(model, X, None, sample_weight, offset=offset)
    source = source_of(model, X, offset)
    targets = Targets(np.zeros((1, source.m)), model.classes, False, True)
    return source.holding(targets, as_weight(sample_weight, source.m))


def _expected(model: Any, features: Features) -> Features:
    """Check that a factory gives the features of the model."""
    n_x, names = model.w.shape[0], model.feature_names
    if features.X.n_x != n_x:
        raise ValueError(f"X is a factory of blocks with {features.X.n_x} features; the model has {n_x}")
    if names is not None and features.names is not None and features.names != names:
        raise ValueError("X is a factory of blocks with other features than those of the model, or in another order")
    return features


def group_numbers(groups: Any, m: int) -> tuple[np.ndarray, int]:
    """Number the groups of samples from 0 on, (m,), and count them.

    Raises
    ------
    ValueError, TypeError
        If there is not one label for each sample, a label is missing, or all are the same.
    """
    groups = groups.compute() if is_collection(groups) else groups
    labels = to_host(as_array(groups, "groups", text=True))
    if labels.shape not in ((m,), (1, m), (m, 1)):
        raise ValueError(f"groups must have the shape ({m},), one label for each sample; got {labels.shape}")
    if labels.dtype.kind == "f" and not np.all(np.isfinite(labels)):
        raise ValueError(f"groups holds {int(np.sum(~np.isfinite(labels)))} labels that are missing or infinite")
    values, numbers = np.unique(labels, return_inverse=True)
    if len(values) < 2:
        raise ValueError(f"groups holds one cluster only ({values.tolist()[0]!r}); there must be two or more")
    return numbers.reshape(m).astype(np.int32), len(values)


def fitted_samples(
    model: Any, X: Any, Y: Any, sample_weight: Any = None, targets: str = "labels", offset: Any = None
) -> InMemory | Distributed:
    """Return the samples that the model was fitted to, in the widest float; check them as far as no pass is needed.

    Raises
    ------
    ValueError
        If their number or the sum of their weights is another than in the fit.
    """
    samples, info = labelled(model, X, Y, sample_weight, targets, offset), model.fit_info
    if info.n_samples is not None and samples.m != info.n_samples:
        raise ValueError(f"X holds {samples.m} samples, but the model was fitted to {info.n_samples}; pass those")
    total, fitted = float(np.ravel(samples.total_weight)[0]), info.total_weight
    if fitted is not None and not _is_near(total, fitted):
        raise ValueError(
            f"the weights add up to {total:.9g}, but to {fitted:.9g} in the fit; pass the sample_weight of the fit"
        )
    return samples.widened()


def expect_likelihood(model: Any, samples: Samples, found: float) -> None:
    """Raise if the log-likelihood of these samples is another than in the fit."""
    if not _is_likely(model, samples, found):
        raise ValueError(
            f"the log-likelihood of X and Y is {found:.9g}, but {model.fit_info.log_likelihood:.9g} in the fit; pass "
            "the samples of the fit"
        )


def _is_likely(model: Any, samples: Samples, found: float) -> bool:
    fitted = model.fit_info.log_likelihood
    tolerance = LIKE[min(model.fit_info.dtype, samples.dtype)]
    return abs(found - fitted) <= tolerance * max(abs(fitted), tolerance * samples.m)


def are_fitted(model: Any, samples: Samples, total: float, found: float) -> bool:
    """Whether these samples are those of the fit, as far as their number, weight and log-likelihood tell."""
    info = model.fit_info
    known = info.n_samples in (None, samples.m) and (info.total_weight is None or _is_near(total, info.total_weight))
    return known and _is_likely(model, samples, found)


def _is_near(total: float, fitted: float) -> bool:
    return abs(total - fitted) <= LIKE["float32"] * fitted
