"""Random inputs of `xlogreg`, each made from its name alone: a kind and a number."""

import zlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tests.fuzz_data import DATA

__all__ = ["KINDS", "Case", "draw", "take", "valid"]

PENALTIES = (1e-8, 1e-6, 1e-4, 1e-3, 1e-2, 0.1, 0.34, 1.0, 10.0)


@dataclass(frozen=True, eq=False)
class Case:
    """One call of the library.

    Attributes
    ----------
    name : str
        "kind:number", from which `draw` makes it again.
    X : ndarray (n_x, m)
    Y : ndarray (m,) of labels, or (1, m) or (K, m) of probabilities
    weight : ndarray (m,) or None
    options : dict
        What `xlogreg.fit` takes.
    call : str
        "fit", "fit_many", "fit_path", "fit_cv", "bootstrap", or "estimator".
    extra : dict
        What that call takes besides.
    layout : str
        "C", "F", "strided", "readonly" or "rows".
    namespace : str
        "numpy", "torch" or "jax".
    well : bool
        Whether the problem is so well posed that no warning is right.
    """

    name: str
    X: np.ndarray
    Y: np.ndarray
    weight: np.ndarray | None = None
    options: dict[str, Any] = field(default_factory=dict)
    call: str = "fit"
    extra: dict[str, Any] = field(default_factory=dict)
    layout: str = "C"
    namespace: str = "numpy"
    well: bool = False

    @property
    def kind(self) -> str:
        return self.name.partition(":")[0]

    @property
    def soft(self) -> bool:
        return self.Y.ndim == 2


def draw(name: str) -> Case:
    """The case of that name."""
    kind, _, number = name.partition(":")
    rng = np.random.default_rng([zlib.crc32(kind.encode()), int(number)])
    for _ in range(100):
        case = _drawn(rng, kind, name)
        if valid(case):
            return case
    raise ValueError(f"no valid case {name!r}")


def valid(case: Case) -> bool:
    """Whether every class of every model has a sample that counts, and X is finite."""
    if case.X.size == 0 or not np.all(np.isfinite(case.X.astype(float))):
        return False
    weights = case.extra.get("sample_weights") or [case.weight]
    return all(_covered(Y, weight) for Y in case.extra.get("Ys") or [case.Y] for weight in weights) and (
        case.call != "fit_cv" or all(_covered(case.Y, _left(case, fold)) for fold in np.unique(case.extra["folds"]))
    )


def take(case: Case, samples: np.ndarray | None = None, features: np.ndarray | None = None) -> Case:
    """The case with some of its samples and features only, by number."""
    samples = np.arange(case.X.shape[1]) if samples is None else samples
    features = np.arange(case.X.shape[0]) if features is None else features
    options, extra = dict(case.options), dict(case.extra)
    if "initial" in options:
        options["initial"] = (options["initial"][0][features], options["initial"][1])
    for name in ("Ys", "sample_weights"):
        if extra.get(name) is not None:
            extra[name] = [None if values is None else values[..., samples] for values in extra[name]]
    if "folds" in extra:
        extra["folds"] = extra["folds"][samples]
    return replace(
        case,
        X=case.X[np.ix_(features, samples)],
        Y=case.Y[..., samples],
        weight=None if case.weight is None else case.weight[samples],
        options=options,
        extra=extra,
    )


def _left(case: Case, fold: int) -> np.ndarray:
    weight = np.ones(case.X.shape[1]) if case.weight is None else case.weight
    return np.where(case.extra["folds"] == fold, 0.0, weight)


def _covered(Y: np.ndarray, weight: np.ndarray | None) -> bool:
    counted = np.ones(Y.shape[-1], bool) if weight is None else weight > 0
    if Y.ndim == 1:
        return len(np.unique(Y)) > 1 and len(np.unique(Y)) == len(np.unique(Y[counted]))
    if Y.shape[0] == 1:
        return bool(np.any(Y[0, counted] > 0) and np.any(Y[0, counted] < 1))
    return bool(np.all(np.any(Y[:, counted] > 0, axis=1)))


def _drawn(rng: np.random.Generator, kind: str, name: str) -> Case:
    if kind in CALLS:
        base = str(rng.choice(["tiny", "normal", "counts", "onehot", "scales", "weights", "wide", "soft"]))
        return CALLS[kind](rng, _plain(rng, base, name))
    if kind in ("torch", "jax"):
        base = str(rng.choice(["tiny", "normal", "counts", "onehot", "scales", "wide"]))
        return _in_namespace(_plain(rng, base, name), kind)
    return _plain(rng, kind, name)


def _plain(rng: np.random.Generator, kind: str, name: str) -> Case:
    X, Y, weight = DATA[kind](rng)
    case = Case(name, X, Y, weight)
    if kind == "well":
        options: dict[str, Any] = {"solver": str(rng.choice(["auto", "newton", "lbfgs"]))}
        if rng.random() < 0.3:
            options["l2"] = float(rng.choice(PENALTIES))
        case = replace(case, options=options, well=True)
        if rng.random() < 0.3:
            case = replace(case, X=X.astype(np.float32))
        return case
    case = replace(case, options=_options(rng, X, case))
    return _stored(rng, case, kind)


def _options(rng: np.random.Generator, X: np.ndarray, case: Case) -> dict[str, Any]:
    options: dict[str, Any] = {}
    solver = str(rng.choice(["auto", "newton", "lbfgs", "gd"], p=[0.5, 0.2, 0.25, 0.05]))
    if solver != "auto":
        options["solver"] = solver
    if solver == "gd":
        options["max_iter"] = int(rng.integers(5, 60))
    if rng.random() < 0.5:
        options["l2"] = float(rng.choice(PENALTIES))
    if rng.random() < 0.12:
        options["bias"] = False
    if rng.random() < 0.22:
        options["standardize"] = True if rng.random() < 0.6 else float(rng.choice([0.01, 3.0, 255.0]))
    if rng.random() < 0.1:
        options["tol"] = float(rng.choice([1e-3, 1e-6, 1e-8]))
    if solver != "gd" and rng.random() < 0.03:
        options["max_iter"] = int(rng.choice([1, 2, 5, 20]))
    if case.soft:
        options["targets"] = "probabilities"
    if rng.random() < 0.08:
        K = case.Y.shape[0] if case.soft else len(np.unique(case.Y))
        k = 1 if K <= 2 else K
        size = np.std(X, axis=1, keepdims=True)
        size = np.where(size > 1e-12 * np.abs(X).max(axis=1, keepdims=True), size, 1.0)
        w = rng.standard_normal((X.shape[0], k)) * float(rng.choice([1e-3, 1.0, 30.0])) / size
        options["initial"] = (w, rng.standard_normal((k, 1)) - w.T @ X.mean(axis=1, keepdims=True))
    return options


def _stored(rng: np.random.Generator, case: Case, kind: str) -> Case:
    """In some dtype and layout, with labels of some kind."""
    X = case.X
    whole, low, high = bool(np.all(np.round(X) == X)), X.min(), X.max()
    choices, chances = ["<f8", "<f4"], [0.55, 0.25]
    for dtype, chance in (("<i8", 0.1), ("|u1", 0.1), ("<i2", 0.05), (">f8", 0.05), (">f4", 0.03), ("<f2", 0.03)):
        if np.dtype(dtype).kind in "iu":
            reach = np.iinfo(dtype)
            if not (whole and reach.min <= low and high <= reach.max):
                continue
        elif dtype == "<f2" and max(abs(low), abs(high)) > 6e4:
            continue
        choices, chances = [*choices, dtype], [*chances, chance]
    dtype = str(rng.choice(choices, p=np.array(chances) / sum(chances)))
    if dtype.endswith("f4") and np.max(np.abs(X)) > 1e30:
        dtype = "<f8"
    case = replace(case, X=X.astype(dtype), layout=str(rng.choice(LAYOUTS, p=[0.5, 0.15, 0.1, 0.1, 0.15])))
    if not case.soft and rng.random() < 0.2:
        names = np.array(["ant", "bee", "cow", "dog", "eel", "fox"])
        numbers = np.unique(case.Y, return_inverse=True)[1]
        case = replace(case, Y=names[numbers] if numbers.max() > 1 or rng.random() < 0.5 else numbers.astype(bool))
    if dtype == "<f8" and rng.random() < 0.05 and np.max(np.abs(X)) < 1e30:
        case = replace(case, X=_rounded(case.X), options=case.options | {"dtype": "float32"})
    return case


def _rounded(X: np.ndarray) -> np.ndarray:
    """Values that float32 holds: what is computed in float32 then loses nothing of X."""
    return X.astype(np.float32).astype(np.float64)


def _in_namespace(case: Case, namespace: str) -> Case:
    X = case.X.astype(case.X.dtype.newbyteorder("="))
    if X.dtype == np.int64 or X.dtype == np.float64:
        X = _rounded(X).astype(X.dtype)
    options = {name: value for name, value in case.options.items() if name != "dtype"}
    layout = "rows" if case.layout == "rows" else "C"
    return replace(case, X=X, namespace=namespace, layout=layout, options=options)


LAYOUTS = ("C", "F", "strided", "readonly", "rows")


# calls of many models


def _shared(case: Case) -> Case:
    """Options that models of one X share."""
    kept = {key: case.options[key] for key in ("bias", "standardize", "tol", "targets") if key in case.options}
    return replace(case, options=kept)


def _many(rng: np.random.Generator, case: Case) -> Case:
    case, m, g = _shared(case), case.X.shape[1], int(rng.integers(2, 6))
    extra: dict[str, Any] = {"l2s": [float(v) for v in rng.choice((0.0, *PENALTIES), g)]}
    if rng.random() < 0.6 and not case.soft:
        extra["Ys"] = [np.where(rng.random(m) < 0.3, rng.permutation(case.Y), case.Y) for _ in range(g)]
    if rng.random() < 0.6:
        extra["sample_weights"] = [rng.integers(0, 3, m).astype(float) for _ in range(g)]
    return replace(case, call="fit_many", extra=extra)


def _path(rng: np.random.Generator, case: Case) -> Case:
    l2s = [float(v) for v in rng.choice((0.0, *PENALTIES), int(rng.integers(2, 6)), replace=False)]
    return replace(_shared(case), call="fit_path", extra={"l2s": l2s})


def _cv(rng: np.random.Generator, case: Case) -> Case:
    case = _shared(case)
    folds = rng.permutation(np.arange(case.X.shape[1]) % int(rng.integers(2, 4)))
    l2s = [float(v) for v in rng.choice(PENALTIES[3:], int(rng.integers(1, 4)), replace=False)]
    return replace(case, call="fit_cv", extra={"l2s": l2s, "folds": folds})


def _bootstrap(rng: np.random.Generator, case: Case) -> Case:
    case = _shared(case)
    if rng.random() < 0.5:
        case = replace(case, options=case.options | {"l2": float(rng.choice(PENALTIES))})
    return replace(
        case, call="bootstrap", extra={"replicates": int(rng.integers(1, 5)), "rng": int(rng.integers(1000))}
    )


def _estimator(rng: np.random.Generator, case: Case) -> Case:
    if case.soft:
        case = replace(case, Y=np.argmax(np.vstack([1 - case.Y, case.Y])[-max(2, len(case.Y)) :], axis=0))
    options = {name: case.options[name] for name in ("l2", "bias") if name in case.options}
    return replace(case, call="estimator", layout="rows", options=options)


def _kinks(rng: np.random.Generator, case: Case) -> Case:
    """With L1, alone or beside L2, and bounds at times."""
    options = {name: value for name, value in case.options.items() if name != "solver"}
    X, Y = case.X.astype(float), case.Y
    Y = (Y[..., None] == np.unique(Y)).T.astype(float) if Y.ndim == 1 else Y
    unit = options.get("standardize", 1.0)
    unit = np.maximum(X.std(axis=1), 1e-30)[:, None] if unit is True else float(unit)
    slopes = (X - X.mean(axis=1, keepdims=True)) @ (Y - Y.mean(axis=1, keepdims=True)).T / X.shape[1] / unit
    options["l1"] = float(10.0 ** rng.uniform(-3.5, 0.1) * np.max(np.abs(slopes))) or 0.1
    size = 10.0 ** rng.uniform(-2, 1) / max(float(X.std()), 1e-30)
    for name, end in (("lower", -size), ("upper", size)):
        if rng.random() < 0.25:
            options[name] = 0.0 if rng.random() < 0.5 else end
    return replace(case, options=options)


CALLS = {"many": _many, "path": _path, "cv": _cv, "bootstrap": _bootstrap, "estimator": _estimator, "kinks": _kinks}

# kinds and how often each is drawn
KINDS = {
    "tiny": 16,
    "normal": 8,
    "wide": 9,
    "counts": 8,
    "onehot": 8,
    "indicator": 5,
    "outliers": 8,
    "scales": 5,
    "shifted": 4,
    "collinear": 5,
    "weights": 5,
    "soft": 5,
    "well": 5,
    "kinks": 10,
    "large": 0.5,
    "many": 3,
    "path": 2,
    "cv": 2,
    "bootstrap": 1.5,
    "estimator": 2,
    "torch": 2,
    "jax": 0.1,
}
