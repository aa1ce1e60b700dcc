"""`separation`: which coefficients are infinite at the maximum of the likelihood, and why."""

import importlib
from typing import Any, NamedTuple

import numpy as np

from xlogreg.arrays.choice import Where
from xlogreg.arrays.place import to_host
from xlogreg.exceptions import one_of
from xlogreg.inference.infinite import UNDECIDED, Finding, find_infinite, find_rectified
from xlogreg.inference.recession import CROOKED, FLAT, Cone
from xlogreg.inference.separated import Separation
from xlogreg.inference.summary import coefficient_names
from xlogreg.inputs.columns import TableOptions
from xlogreg.inputs.door import Taken, take
from xlogreg.inputs.labels import SOFT, Targets, encode_targets, erased_class
from xlogreg.inputs.options import SAMPLES
from xlogreg.inputs.tables import is_collection
from xlogreg.samples.intake import settle
from xlogreg.samples.nonfinite import refuse_nonfinite

__all__ = ["separation"]

METHODS = ("auto", "linear programming", "rectifier")
PROGRAMMED = 500  # coefficients up to which "auto" solves linear programs
ROUNDINGS = 8.0  # roundings in a sum of features
FILLED = 0.3  # share of values other than zero from which on a sparse X is taken as an array


class Design(NamedTuple):
    """Samples that count as rows of a cone, and how they were scaled.

    Parameters w, b for X as handed in follow from those of the cone: w = v / unit, b = c - center'w.
    """

    cone: Cone
    center: np.ndarray  # (n_x,)
    unit: np.ndarray  # (n_x,) powers of two
    size: np.ndarray  # (m,) what each sample of the cone was divided by
    bias: bool
    of_sample: np.ndarray  # (n,) the number in the cone of each sample that counts


def separation(
    X: Any,
    Y: Any,
    *,
    samples: str = "columns",
    bias: bool = True,
    sample_weight: Any = None,
    baseline: Any = None,
    categorical_features: Any = None,
    drop: str | None = "auto",
    reference: dict[str, Any] | None = None,
    missing: str = "error",
    method: str = "auto",
) -> Separation:
    """Find the coefficients that are infinite at the maximum of the likelihood, without a fit.

    Where a hyperplane separates the classes, the likelihood has no maximum, and some coefficients grow for ever. The
    directions d in which no sample moves to its wrong side are a cone, given by one linear inequality for each sample
    and other class. Linear programs find the signs that each coefficient takes on in it (Albert & Anderson, Biometrika
    1984; Konis, Linear programming algorithms for detecting separated data, Oxford 2007). Every direction is checked
    sample by sample: a move to the wrong side must not exceed the rounding errors of its own sum, else the program is
    solved again, and the answer is "undecided" if that does not help.

    Parameters
    ----------
    X : array (n_x, m)
        As for `xlogreg.fit`: an array, a frame with samples="rows", or a sparse matrix, which stays sparse. It is
        brought to the host. Collections of dask and factories of blocks are refused.
    Y : array (1, m) or (m,), or (K, m)
        Labels or one-hot columns. Targets that are probabilities are refused.
    samples : {"columns", "rows"}
    bias : bool
        Whether the model has a bias.
    sample_weight : array (m,), optional
        Samples of weight zero do not count; other weights make no difference.
    baseline : optional
        With three classes or more, the class that coefficients are relative to; None for the first one.
    categorical_features, drop, reference, missing
        Columns of a frame, as for `xlogreg.fit` without a penalty.
    method : {"auto", "linear programming", "rectifier"}
        "auto" solves linear programs for up to 500 coefficients, n_x + 1 for each class but one, of any number of
        samples. Beyond, it uses least squares, the iterative rectifier (Correia, Guimaraes & Zylkin 2021). That tells
        the kind, the samples on the hyperplane and a direction, and if there is no separation, that all coefficients
        are finite; else most of them are "undecided".

    Returns
    -------
    Separation

    Raises
    ------
    ValueError, TypeError
        If an input is wrong; the message names the argument, its value and what is right.
    ImportError
        If SciPy is not installed.

    Notes
    -----
    If features are collinear, the same scores have many parameters, and the shortest of them count, for features in
    units of about their usual size. A feature that is constant beside a bias is then finite. Features that are
    collinear but for the rounding of their values are collinear. An offset would make no difference.

    Examples
    --------
    No woman in the sample died, so the coefficient of "sex=woman" is infinite; that of the age is not.

    >>> import numpy as np, xlogreg
    >>> woman = np.asarray([0, 0, 0, 0, 1, 1, 1])
    >>> age = np.asarray([52.0, 61.0, 58.0, 70.0, 49.0, 66.0, 71.0])
    >>> died = np.asarray([0, 1, 1, 0, 0, 0, 0])
    >>> found = xlogreg.separation(np.stack([woman, age]), died)
    >>> found
    quasi-complete separation: a hyperplane has no sample on the wrong side, 4 of 7 on it
    <BLANKLINE>
          estimate
    x0    -inf
    x1    finite
    bias  finite
    >>> found.tied
    array([ True,  True,  True,  True, False, False, False])
    """
    one_of("samples", samples, SAMPLES)
    one_of("method", method, METHODS)
    if not isinstance(bias, (bool, np.bool_)):
        raise TypeError(f"bias must be True or False, not {bias!r}")
    _expect_scipy()
    if is_collection(X) or callable(X):
        kind = "a collection of dask" if is_collection(X) else "a factory of blocks"
        raise TypeError(f"X is {kind}; separation looks at samples in memory: hand in an array, a frame or a sparse X")
    asked = TableOptions(
        categorical_features=categorical_features,
        drop=drop,
        reference=reference,
        missing=missing,
        unpenalised=bool(bias),
    )
    taken = take(X, Y, sample_weight, samples=samples, encode=_encoded, asked=asked)
    refuse_nonfinite(settle(taken.features, Where()).samples)
    counted = np.ones(taken.features.X.m, dtype=bool)
    if taken.weight is not None:
        counted = to_host(taken.weight)[0] > 0
        _expect_classes(taken)
    order = _order(taken.targets.classes, baseline)
    design = _design(taken, counted, order, bool(bias))
    coefficients = _coefficients(design)
    programs = method == METHODS[1] or (method == "auto" and coefficients.shape[0] <= PROGRAMMED)
    finding = (find_infinite if programs else find_rectified)(design.cone, coefficients)
    return _report(taken, design, finding, counted, order, METHODS[1] if programs else METHODS[2])


def _expect_scipy() -> None:
    try:
        importlib.import_module("scipy.optimize")
    except ModuleNotFoundError as error:
        raise ImportError('separation needs SciPy: pip install "xlogreg[inference]"') from error


def _encoded(Y: Any, shape: tuple[int, ...], samples: str) -> Targets:
    """Encode labels; refuse probabilities, which leave no hyperplane without a sample on its wrong side."""
    try:
        return encode_targets(Y, shape, samples, "labels")
    except ValueError as error:
        if "targets='probabilities'" not in str(error):
            raise
        reason = str(error).replace(SOFT, "").partition("; for probabilities")[0]
        raise ValueError(f"{reason}; separation is a matter of labels, so probabilities are refused") from None


def _expect_classes(taken: Taken) -> None:
    targets = taken.targets
    lost = erased_class(targets._replace(Y=to_host(targets.Y)), to_host(taken.weight))
    if lost is not None:
        raise ValueError(f"sample_weight is zero for every sample of class {targets.classes.tolist()[lost]!r}")


def _order(classes: np.ndarray, baseline: Any) -> np.ndarray:
    """Return the numbers of the classes, that of the baseline first."""
    labels = classes.tolist()
    if len(labels) == 2 and baseline is not None:
        raise ValueError("baseline is for three classes or more; the coefficients of two belong to the second class")
    if baseline is not None and baseline not in labels:
        raise ValueError(f"baseline must be one of the classes {labels}, not {baseline!r}")
    number = 0 if baseline is None else labels.index(baseline)
    return np.asarray([number, *(j for j in range(len(labels)) if j != number)])


def _design(taken: Taken, counted: np.ndarray, order: np.ndarray, bias: bool) -> Design:
    """Make the cone of the samples that count, each kind of sample once."""
    X = taken.features.X.host_rows(np.flatnonzero(counted))
    own = np.argsort(order)[to_host(taken.targets.Y)[0, counted].astype(np.int64)]
    if not isinstance(X, np.ndarray) and X.nnz > FILLED * X.shape[0] * X.shape[1]:
        X = X.toarray()
    F, center, unit, size = (_dense if isinstance(X, np.ndarray) else _sparse)(X, bias)
    first, of_sample = _distinct(F, own)
    cone = Cone(F[first], own[first], len(order), _flat(X.dtype, center, unit))
    return Design(cone, center, unit, size[first], bias, of_sample)


def _dense(X: np.ndarray, bias: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Centre features at one of their own values, so that whole numbers stay whole, and scale by powers of two."""
    X = X.astype(np.float64)
    m, n_x = X.shape
    center = np.partition(X, m // 2, axis=0)[m // 2] if bias else np.zeros(n_x)
    F = X - center
    unit = np.asarray([_unit(F[:, j], center[j]) for j in range(n_x)])
    F = np.concatenate([F / unit, np.ones((m, 1))], axis=1) if bias else F / unit
    size = _power_of_two(np.max(np.abs(F), axis=1))
    return F / size[:, None], center, unit, size


def _sparse(X: Any, bias: bool) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
    """Scale features by powers of two; a centre would fill them."""
    from scipy.sparse import csr_array, diags_array, hstack

    X = csr_array(X, dtype=np.float64)
    X.sum_duplicates()
    m, n_x = X.shape
    columns = X.tocsc()
    ends = columns.indptr
    unit = np.asarray([_unit(columns.data[ends[j] : ends[j + 1]]) for j in range(n_x)])
    F = X @ diags_array(1.0 / unit)
    F = csr_array(hstack([F, np.ones((m, 1))]) if bias else F)
    size = _power_of_two(abs(F).max(axis=1).toarray().reshape(-1))
    return csr_array(diags_array(1.0 / size) @ F), np.zeros(n_x), unit, size


def _flat(dtype: Any, center: np.ndarray, unit: np.ndarray) -> float:
    """Share of a singular value that the rounding errors of features make of zero: these features are collinear."""
    eps = float(np.finfo(dtype if dtype.kind == "f" else np.float64).eps)
    return float(np.clip(ROUNDINGS * eps * np.max(1.0 + np.abs(center) / unit), FLAT, CROOKED))


def _unit(values: np.ndarray, center: float = 0.0) -> float:
    """Return a power of two near the median size of the values that are not zero; without any, near the centre."""
    sizes = np.abs(values[values != 0.0])
    return float(_power_of_two(np.median(sizes) if len(sizes) else abs(center)))


def _power_of_two(values: Any) -> np.ndarray:
    """Round up to powers of two; zero to one."""
    return np.ldexp(1.0, np.where(values > 0, np.frexp(values)[1], 0))


def _distinct(F: Any, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of the first of all samples that are the same, and where each sample is among these."""
    if isinstance(F, np.ndarray):
        rows = np.ascontiguousarray(np.column_stack([F + 0.0, own]))
        keys = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).reshape(-1)
    else:  # two random sums, which are the same for different samples next to never
        rng = np.random.default_rng(0)
        keys = (F @ rng.standard_normal(F.shape[1])) + 1j * (F @ rng.standard_normal(F.shape[1]))
        found = np.unique(np.stack([keys.real, keys.imag, own]), axis=1, return_index=True, return_inverse=True)
        return found[1], found[2].reshape(-1)
    _, first, of_sample = np.unique(keys, return_index=True, return_inverse=True)
    return first, of_sample.reshape(-1)


def _coefficients(design: Design) -> Any:
    """Return each coefficient, class by class, as a sum over the parameters of the cone: csr_array (c, q)."""
    from scipy.sparse import csr_array, eye_array, kron, vstack

    n_x = len(design.unit)
    weights = csr_array(eye_array(n_x, n_x + design.bias))
    if design.bias:
        last = np.append(-design.center / design.unit, 1.0)
        weights = vstack([weights, csr_array(last[None, :] / np.sum(np.abs(last)))])
    return csr_array(kron(eye_array(design.cone.K - 1), weights))


def _report(
    taken: Taken, design: Design, finding: Finding, counted: np.ndarray, order: np.ndarray, method: str
) -> Separation:
    K, n_x, classes = design.cone.K, len(design.unit), taken.targets.classes
    moved = np.all(finding.moved.reshape(-1, K - 1), axis=1)
    tied = np.zeros(len(counted), dtype=bool)
    tied[counted] = ~moved[design.of_sample]
    if finding.direction is None:
        kind, w, b = "none" if finding.settled else UNDECIDED, None, None
    else:
        kind = "quasi-complete" if np.any(tied) else "complete"
        w, b = _direction(design, finding.direction, order)
    status = np.asarray(finding.status, dtype=np.str_).reshape(K - 1, -1).T
    names = coefficient_names(taken.features.names, n_x)
    return Separation(
        kind=kind,
        status=status,
        names=names if design.bias else names[:-1],
        classes=classes,
        baseline=classes.tolist()[order[0]],
        w=w,
        b=b,
        tied=tied,
        n_samples=int(np.sum(counted)),
        method=method,
        settled=finding.settled,
    )


def _direction(design: Design, d: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a direction (q,) of the cone as w (n_x, k) and b (k, 1), for X as handed in."""
    K, n_x = design.cone.K, len(design.unit)
    steps = d.reshape(K - 1, -1).T / np.max(np.repeat(design.size, K - 1) * design.cone.moves(d))
    w = steps[:n_x] / design.unit[:, None]
    b = (steps[n_x] - design.center @ w)[:, None] if design.bias else np.zeros((K - 1, 1))
    if K == 2:
        return w, b
    back = np.argsort(order)
    return np.pad(w, ((0, 0), (1, 0)))[:, back], np.pad(b, ((1, 0), (0, 0)))[back]
