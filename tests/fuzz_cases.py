"""Random inputs of `xlogreg`, each made from its name alone: a kind and a number."""

import zlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

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
        "fit", "fit_many", "fit_path", "fit_cv" or "bootstrap".
    extra : dict
        What that call takes besides.
    layout : str
        "C", "F", "strided", "readonly" or "rows".
    library : str
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
    library: str = "numpy"
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
        return _in_library(_plain(rng, base, name), kind)
    return _plain(rng, kind, name)


def _plain(rng: np.random.Generator, kind: str, name: str) -> Case:
    X, Y, weight = FEATURES[kind](rng)
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
        size = np.maximum(np.std(X, axis=1, keepdims=True), 1e-12)
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


def _in_library(case: Case, library: str) -> Case:
    X = case.X.astype(case.X.dtype.newbyteorder("="))
    if X.dtype == np.int64 or X.dtype == np.float64:
        X = _rounded(X).astype(X.dtype)
    options = {name: value for name, value in case.options.items() if name != "dtype"}
    layout = "rows" if case.layout == "rows" else "C"
    return replace(case, X=X, library=library, layout=layout, options=options)


# labels


def _labels(rng: np.random.Generator, Z: np.ndarray, K: int, strength: float) -> np.ndarray:
    """Of standardised Z (n, m), by a random linear model."""
    W = strength * rng.standard_normal((Z.shape[0], K)) / np.sqrt(max(1, Z.shape[0]))
    scores = W.T @ Z + 0.5 * rng.standard_normal((K, 1))
    return np.argmax(scores + rng.gumbel(size=scores.shape), axis=0)


def _number_of_classes(rng: np.random.Generator) -> int:
    return int(rng.choice([2, 3, 4, 5, 6], p=[0.6, 0.2, 0.1, 0.05, 0.05]))


def _m(rng: np.random.Generator, low: int, high: int) -> int:
    return int(np.exp(rng.uniform(np.log(low), np.log(high + 1))))


def _strength(rng: np.random.Generator) -> float:
    return float(rng.choice([0.0, 0.5, 1.0, 3.0, 10.0]))


def _normal(rng: np.random.Generator, n: int, m: int) -> np.ndarray:
    """Correlated at times."""
    X = rng.standard_normal((n, m))
    return X + rng.uniform(0, 3) * rng.standard_normal((1, m)) if rng.random() < 0.3 else X


# features, labels and weights of each kind


def _tiny(rng: np.random.Generator):
    n, m = int(rng.integers(1, 5)), int(rng.integers(2, 11))
    form = rng.integers(4)
    if form == 0:
        X = rng.integers(0, 2, (n, m)).astype(float)
    elif form == 1:
        X = rng.integers(-3, 4, (n, m)).astype(float)
    elif form == 2:
        X = np.round(rng.standard_normal((n, m)), 1)
    else:
        X = np.round(rng.standard_normal((n, m)), 2)
    return X, rng.integers(0, int(rng.integers(2, 6)), m), None


def _ordinary(rng: np.random.Generator):
    n = _m(rng, 1, 10)
    X = _normal(rng, n, _m(rng, 5, 300))
    return X, _labels(rng, X, _number_of_classes(rng), _strength(rng)), None


def _wide(rng: np.random.Generator):
    m = _m(rng, 3, 40)
    X = _normal(rng, m + _m(rng, 1, 160 if rng.random() < 0.3 else 30), m)
    Y = _labels(rng, X[:3], _number_of_classes(rng), _strength(rng))
    if rng.random() < 0.3:
        X[0] *= 10.0 ** rng.integers(2, 9)
    elif rng.random() < 0.2:
        X[0] = np.round(1.7e9 + 1e7 * X[0])
    return X, Y, None


def _counts(rng: np.random.Generator):
    n, m = _m(rng, 1, 6), _m(rng, 4, 200)
    X = rng.poisson(10.0 ** rng.uniform(-1.5, 1.5, (n, 1)), (n, m)).astype(float)
    return X, _labels(rng, (X - X.mean(axis=1, keepdims=True)), _number_of_classes(rng), _strength(rng)), None


def _onehot(rng: np.random.Generator):
    m, blocks = _m(rng, 5, 300), []
    for _ in range(int(rng.integers(1, 4))):
        levels = int(rng.integers(2, 6))
        found = rng.choice(levels, m, p=rng.dirichlet(np.full(levels, 0.7)))
        block = np.eye(levels)[:, found]
        blocks.append(block[int(rng.random() < 0.4) :])
    if rng.random() < 0.4:
        blocks.append(_normal(rng, int(rng.integers(1, 3)), m))
    X = np.vstack(blocks)
    return X, _labels(rng, X - X.mean(axis=1, keepdims=True), _number_of_classes(rng), _strength(rng)), None


def _indicator(rng: np.random.Generator):
    m = _m(rng, 20, 600)
    X = _normal(rng, int(rng.integers(1, 4)), m)
    Y = _labels(rng, X, _number_of_classes(rng), 1.0)
    lacking = rng.choice(np.unique(Y), int(rng.integers(1, max(2, len(np.unique(Y))))), replace=False)
    level = (rng.random(m) < rng.choice([0.02, 0.1, 0.4])) & ~np.isin(Y, lacking)
    return np.vstack([X, level]), Y, None


def _outliers(rng: np.random.Generator):
    n, m = int(rng.integers(1, 4)), _m(rng, 8, 400)
    X = np.round(rng.uniform(18, 90, (n, m))) if rng.random() < 0.6 else rng.standard_normal((n, m))
    Z = (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True).clip(1e-9)
    Y = _labels(rng, Z, int(rng.choice([2, 2, 2, 3])), float(rng.choice([0.5, 1.0, 2.0])))
    for _ in range(int(rng.integers(1, 3))):
        X[rng.integers(n), rng.integers(m)] = float(rng.choice([-1.0, 1.0])) * np.round(10.0 ** rng.uniform(3, 9))
    return X, Y, None


def _scales(rng: np.random.Generator):
    X, Y, _ = _ordinary(rng)
    size = 10.0 ** rng.uniform(-8, 8, (X.shape[0], 1))
    return (X + rng.choice([0.0, 0.0, 10.0, 1e3], (X.shape[0], 1))) * size, Y, None


def _shifted(rng: np.random.Generator):
    X, Y, _ = _ordinary(rng)
    form = rng.integers(3)
    if form == 0:
        X[0] = np.round(1.7e9 + 1e7 * X[0])
    elif form == 1:
        X[0] = np.round(2020 + 3 * X[0])
    else:
        X = X + 1e6
    return X, Y, None


def _collinear(rng: np.random.Generator):
    n, m = int(rng.integers(1, 4)), _m(rng, 8, 150)
    X = rng.standard_normal((n, m))
    Y = _labels(rng, X, _number_of_classes(rng), _strength(rng))
    form = rng.integers(4)
    if form == 0:
        X = np.vstack([X, X[0] * (1 + 10.0 ** rng.uniform(-12, -2) * rng.standard_normal(m))])
    elif form == 1:
        X = np.vstack([X, X[rng.integers(n)]])
    elif form == 2:
        X = np.vstack([X, np.full((1, m), float(rng.choice([0.0, 1.0, 0.1, 1e6])))])
    else:
        X = X[:1] + 10.0 ** rng.uniform(-4, -1) * rng.standard_normal((int(rng.integers(2, 7)), m))
    return X, Y, None


def _weights(rng: np.random.Generator):
    X, Y, _ = (_tiny, _ordinary, _counts)[rng.integers(3)](rng)
    m, form = X.shape[1], rng.integers(4)
    if form == 0:
        weight = rng.uniform(0.1, 3, m)
    elif form == 1:
        weight = rng.integers(1, 6, m)
    elif form == 2:
        weight = rng.integers(0, 3, m).astype(float)
    else:
        weight = 10.0 ** rng.uniform(*((-17, 2) if rng.random() < 0.3 else (-3, 3)), m)
    return X, Y, weight


def _soft(rng: np.random.Generator):
    X = _normal(rng, int(rng.integers(1, 6)), _m(rng, 3, 60))
    if rng.random() < 0.3:
        X = np.round(X)
    K, m, form = _number_of_classes(rng), X.shape[1], rng.integers(4)
    Y = np.eye(K)[:, rng.integers(0, K, m)]
    if form == 0:
        Y = rng.dirichlet(np.full(K, 1.0), m).T
    elif form == 1:
        Y = (1 - 0.004 - 1e-3 * K) * Y + (0.004 + 1e-3 * K) / K
    elif form == 2:
        Y = 0.9 * Y + 0.1 / K
    else:  # some sure, some torn between two classes
        other = np.eye(K)[:, rng.integers(0, K, m)]
        Y = np.where(rng.random(m) < 0.5, Y, 0.5 * Y + 0.5 * other)
    Y = Y / Y.sum(axis=0)
    return X, Y[1:] if K == 2 and rng.random() < 0.7 else Y, None


def _well(rng: np.random.Generator):
    n = _m(rng, 1, 12)
    K = int(rng.choice([2, 2, 3, 4]))
    m = _m(rng, 30 * (n + 1) * (K - 1), 90 * (n + 1) * (K - 1))
    X = rng.standard_normal((n, m))
    Y = _labels(rng, X, K, float(rng.choice([0.0, 0.5, 1.0])))
    X = 10.0 ** rng.uniform(-1, 1, (n, 1)) * X + rng.uniform(-2, 2, (n, 1))
    return X, Y, None


def _large(rng: np.random.Generator):
    n, m = _m(rng, 1, 30 if rng.random() < 0.9 else 200), int(rng.integers(800, 3000))
    X = _normal(rng, n, m)
    K = _number_of_classes(rng) if n <= 12 else 2
    Y = _labels(rng, X, K, float(rng.choice([0.5, 1.0, 3.0])))
    form = rng.integers(4)
    if form == 0:
        X[0] = rng.random(m) < 0.02
    elif form == 1:
        X = X * 10.0 ** rng.uniform(-4, 4, (n, 1))
    elif form == 2:
        X[0] = np.exp(4 * X[0])
    return X, Y, None


FEATURES = {
    "tiny": _tiny,
    "normal": _ordinary,
    "wide": _wide,
    "counts": _counts,
    "onehot": _onehot,
    "indicator": _indicator,
    "outliers": _outliers,
    "scales": _scales,
    "shifted": _shifted,
    "collinear": _collinear,
    "weights": _weights,
    "soft": _soft,
    "well": _well,
    "large": _large,
}
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


CALLS = {"many": _many, "path": _path, "cv": _cv, "bootstrap": _bootstrap}

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
    "large": 0.5,
    "many": 3,
    "path": 2,
    "cv": 2,
    "bootstrap": 1.5,
    "torch": 2,
    "jax": 0.1,
}
