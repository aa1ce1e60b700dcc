"""Random features (n_x, m), labels or probabilities, and weights of the kinds that `tests.fuzz_cases` draws from."""

import numpy as np

__all__ = ["DATA"]


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
        X = np.vstack([X, X[0] * (1 + 10.0 ** rng.uniform(-11, -2) * rng.standard_normal(m))])
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


DATA = {
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
