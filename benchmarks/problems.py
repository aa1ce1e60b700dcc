"""The problems of the league: real, simulated and from files; each has a name, a seed and something that it shows.

X (m, n_x) has samples in rows, as tables have them; y (m,) holds the classes 0 ... K - 1; l2 is on the scale of the
mean loss, C = 1 / (l2 m) of scikit-learn. Simulated labels are drawn from a model whose scores have the standard
deviation 2. `RECIPES` makes problems when they are asked for; workers read them from a folder.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

__all__ = ["RECIPES", "Data", "Problem", "Recipe", "gaussian", "make", "read", "shapes", "write"]

ROWS = 100_000  # drawn at a time
Data = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Problem:
    name: str
    X: np.ndarray  # (m, n_x)
    y: np.ndarray  # (m,)
    l2: float
    about: str
    seed: int | None
    tags: tuple[str, ...]

    @property
    def m(self) -> int:
        return self.X.shape[0]

    @property
    def n_x(self) -> int:
        return self.X.shape[1]

    @property
    def K(self) -> int:
        return int(self.y.max()) + 1

    @property
    def C(self) -> float:
        return 1 / (self.l2 * self.m) if self.l2 else np.inf

    @property
    def dtype(self) -> str:
        return str(self.X.dtype)


class Recipe(NamedTuple):
    """Data, l2 in units of 1/m, what it shows, tags; "family:x" are points of a curve over m, n_x, K or condition."""

    data: Callable[[], Data]
    l2: float
    about: str
    tags: tuple[str, ...] = ()
    seed: int | None = None


def gaussian(
    m: int,
    n_x: int,
    seed: int,
    *,
    condition: float = 10.0,
    spectrum: np.ndarray | None = None,
    K: int = 2,
    dtype: str = "float64",
    bias: float = 0.0,
    noise: float = 1.0,
) -> Data:
    """X = N(0, 1) diag(spectrum) Q', Q a random rotation; the spectrum falls from 1 to 1 / condition."""
    rng = np.random.default_rng(seed)
    spectrum = np.logspace(0, -np.log10(condition), n_x) if spectrum is None else spectrum
    turn = (spectrum[:, None] * np.linalg.qr(rng.standard_normal((n_x, n_x)))[0].T).astype(dtype)
    W = rng.standard_normal((n_x, 1 if K == 2 else K))
    W *= 2 / np.linalg.norm(turn.astype(float) @ W, axis=0)  # the standard deviation of the scores is 2
    X, y = np.empty((m, n_x), dtype=dtype), np.empty(m, dtype=np.int64)
    for start in range(0, m, ROWS):
        part = slice(start, min(start + ROWS, m))
        X[part] = rng.standard_normal((part.stop - part.start, n_x), dtype=dtype) @ turn
        Z = X[part] @ W + bias
        y[part] = (
            Z[:, 0] + noise * rng.logistic(size=len(Z)) > 0
            if K == 2
            else np.argmax(Z + noise * rng.gumbel(size=Z.shape), axis=1)
        )
    return X, y


def scaled(scale: Callable[[np.ndarray], np.ndarray], *arguments: int, **options: float) -> Data:
    """Gaussian data whose columns are changed after the labels were drawn."""
    X, y = gaussian(*arguments, **options)
    return scale(X), y


def correlated(m: int, n_x: int, seed: int) -> Data:
    """Neighbouring columns have the correlation 0.99."""
    distance = np.abs(np.subtract.outer(np.arange(n_x), np.arange(n_x)))
    return gaussian(m, n_x, seed, spectrum=np.sqrt(np.linalg.eigvalsh(0.99**distance)[::-1].clip(1e-12)))


def bundled(name: str) -> Data:
    """A data set that ships with scikit-learn."""
    from sklearn import datasets

    return getattr(datasets, f"load_{name}")(return_X_y=True)


def survey(name: str) -> Data:
    """A data set that ships with statsmodels, two classes."""
    from statsmodels import datasets

    data = getattr(datasets, name).load_pandas()
    return np.ascontiguousarray(data.exog.to_numpy(dtype=float)), (data.endog.to_numpy() > 0).astype(np.int64)


def pictures() -> Data:
    """Those of `xlogreg demo`: 209 patches of two photographs, 12288 pixels of 0 ... 1 each."""
    from xlogreg.cli.demo import load_pictures

    demo = load_pictures()
    X = np.ascontiguousarray(demo.X_train.T) / demo.standardize
    return X, (demo.Y_train == "temple").astype(np.int64)


def shapes(count: int, side: int, seed: int) -> Data:
    """Pictures (count, side, side, 3) of bytes: a stripe, a disc or a chessboard, of random colours, with noise."""
    rng, (rows, columns) = np.random.default_rng(seed), np.indices((side, side))
    y, pictures = np.arange(count) % 3, np.empty((count, side, side, 3), dtype=np.uint8)
    for number, which in enumerate(y):
        down, across = rng.integers(side // 4, side - side // 4, size=2)
        shape = (
            abs(rows - down) < side // 8,
            np.hypot(rows - down, columns - across) < side // 4,
            (rows // 4 + columns // 4) % 2 == 0,
        )[which]
        values = rng.integers(0, 128, size=3) + shape[:, :, None] * rng.integers(64, 100, size=3)
        pictures[number] = np.clip(values + rng.normal(0, 20, size=(side, side, 3)), 0, 255)
    return pictures, y


def simulated() -> Iterator[tuple[str, Recipe]]:
    """What data can be like, one trait at a time."""

    def recipe(about: str, m: int, n_x: int, l2: float = 1.0, *tags: str, **traits: object) -> Recipe:
        seed = 1
        return Recipe(partial(gaussian, m, n_x, seed, **traits), l2, about, tags, seed)

    seed = 1
    f32 = {"dtype": "float32"}
    yield "tall", recipe("many samples, few features", 100_000, 50, 1.0, "one core", condition=100)
    yield "tall f32", recipe("the same in float32", 100_000, 50, 1.0, condition=100, **f32)
    for m, n_x in ((500, 10), (3_200, 60), (2_000, 200), (20_000, 50), (5_000, 500)):
        yield f"{m} x {n_x}", recipe("ordinary data", m, n_x, 1.0, "one core")
    yield "8000 x 40, K = 8", recipe("ordinary data of eight classes", 8_000, 40, 1.0, "one core", K=8)
    yield "2000 x 1000", recipe("half as many features as samples", 2_000, 1_000, 1.0, "one core")
    yield "2000 x 1000, strong", recipe("the same, l2 = 100/m", 2_000, 1_000, 100.0, "one core")
    yield "square", recipe("as many features as samples", 2_000, 2_000, 1.0, "one core")
    yield "square, strong", recipe("the same, l2 = 100/m", 2_000, 2_000, 100.0, "one core")
    yield "condition 1e4", recipe("directions that hardly show", 50_000, 50, 1e-2, "one core", condition=1e4)
    yield "weak penalty", recipe("l2 = 1/(100 m)", 50_000, 100, 1e-2)
    yield "strong penalty", recipe("l2 = 100/m", 50_000, 100, 100.0)
    yield "10 classes", recipe("a softmax", 20_000, 100, 1.0, "one core", K=10)
    yield "100 classes", recipe("a softmax of many classes", 10_000, 64, 1.0, "one core", K=100)
    spectrum = 1 / np.arange(1, 385)
    embeddings = {"spectrum": spectrum, "K": 10, **f32}
    yield (
        "embeddings",
        recipe("singular values 1/i, as features of networks", 20_000, 384, 1.0, "one core", **embeddings),
    )
    yield "rare positives", recipe("some 0.5 % of one class", 50_000, 30, 1.0, "one core", bias=-7.0)
    yield "separable", recipe("a hyperplane separates the classes; l2 = 1/(100 m)", 20_000, 20, 1e-2, noise=0.0)
    units = partial(scaled, lambda X: X * np.logspace(-4, 4, X.shape[1]), 20_000, 30, seed)
    yield "raw units", Recipe(units, 1e-2, "columns of 1e-4 to 1e4, as measurements come", (), seed)
    shifted = partial(scaled, lambda X: X + 2020.0, 20_000, 30, seed)
    yield "shifted", Recipe(shifted, 1.0, "2020 added to every feature, as years have it", (), seed)
    yield "correlated", Recipe(partial(correlated, 20_000, 50, seed), 1.0, "neighbours correlate by 0.99", (), seed)
    for m, n_x in ((50_000, 128), (1_560_000, 16), (500_000, 128), (244_000, 1024), (5_000_000, 128)):
        about = "a shape of cuML's published benchmark, float32"
        yield f"cuML {m / 1000:g}k x {n_x}", recipe(about, m, n_x, 1.0, "large", condition=1, **f32)


def families() -> Iterator[tuple[str, Recipe]]:
    """One thing grows, the others stay."""
    plain = {"m": 20_000, "n_x": 50, "K": 2, "condition": 10.0}
    growing = {
        "m": (1_000, 10_000, 100_000, 1_000_000),
        "n_x": (10, 50, 200, 1_000),
        "K": (3, 10, 30),
        "condition": (1.0, 1e2, 1e3, 1e4),
    }
    for what, values in growing.items():
        for value in values:
            traits = plain | ({"n_x": 20} if what == "m" else {}) | {what: value}
            shape = {key: traits.pop(key) for key in ("m", "n_x")}
            data = partial(gaussian, shape["m"], shape["n_x"], 2, **traits)
            yield f"{what} = {value:g}", Recipe(data, 1.0, f"cost against {what}", ("family", f"{what}:{value:g}"), 2)


RECIPES: dict[str, Recipe] = {
    "breast cancer": Recipe(partial(bundled, "breast_cancer"), 1.0, "raw measurements", ("real", "quick", "one core")),
    "digits": Recipe(partial(bundled, "digits"), 1.0, "pictures of 8 x 8, ten classes", ("real", "one core")),
    "iris": Recipe(partial(bundled, "iris"), 1.0, "150 flowers", ("real", "quick", "one core")),
    "wine": Recipe(partial(bundled, "wine"), 1.0, "raw measurements of 178 wines", ("real", "one core")),
    "fair": Recipe(partial(survey, "fair"), 0.0, "a survey, no penalty: maximum likelihood", ("real", "one core")),
    "spector": Recipe(
        partial(survey, "spector"), 0.0, "32 students, no penalty: maximum likelihood", ("real", "quick", "one core")
    ),
    "pictures": Recipe(pictures, 2.09, "wide: 12288 pixels of 209 pictures", ("real",)),
    "small": Recipe(partial(gaussian, 5_000, 20, 1), 1.0, "a small simulation", ("quick", "quick only"), 1),
    **dict(simulated()),
    **dict(families()),
}


def make(name: str, recipes: dict[str, Recipe] | None = None) -> Problem:
    """A problem by its name.

    Raises
    ------
    ImportError
        Where a library that its data ship with is missing.
    """
    recipe = (RECIPES if recipes is None else recipes)[name]
    X, y = recipe.data()
    return Problem(name, X, y.astype(np.int64), recipe.l2 / len(y), recipe.about, recipe.seed, recipe.tags)


def write(problem: Problem, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "X.npy", problem.X)
    np.save(folder / "y.npy", problem.y)
    rest = {key: getattr(problem, key) for key in ("name", "l2", "about", "seed", "tags")}
    (folder / "problem.json").write_text(json.dumps(rest))


def read(folder: Path) -> Problem:
    rest = json.loads((folder / "problem.json").read_text())
    return Problem(X=np.load(folder / "X.npy"), y=np.load(folder / "y.npy"), **rest | {"tags": tuple(rest["tags"])})
