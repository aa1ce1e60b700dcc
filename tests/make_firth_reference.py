"""Write firth_reference.json: what firthmodels finds for the sets of `firth_set` and for published data, all tightly.

Run it with Python that has firthmodels, NumPy and pytest; the tests do not need firthmodels.
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from published_data import endometrial, sex2

SETS = 50
TOLERANCES = (1e-8, 3e-8, 1e-7, 3e-7, 1e-6)


def firth_set(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """X (m, n) and y (m,) of a random set; in four of five a binary feature separates, or nearly so."""
    rng = np.random.default_rng(seed)
    m, n = int(rng.integers(20, 60)), int(rng.integers(1, 5))
    X = rng.standard_normal((m, n)).round(3)
    X[:, 0] = rng.random(m) < 0.35
    y = (rng.random(m) < 1.0 / (1.0 + np.exp(-X @ rng.standard_normal(n)))).astype(int)
    if seed % 5:
        y[X[:, 0] > 0] = seed % 2
    y[:2] = 0, 1
    X[:2, 0] = 0
    return X, y


def judged(X: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """What firthmodels finds, with the smallest tolerance at which its halved steps do not get stuck in rounding."""
    import firthmodels

    for tol in TOLERANCES:
        model = firthmodels.FirthLogisticRegression(backend="numpy", gtol=tol, xtol=tol, max_iter=2000).fit(X, y).lrt()
        ends = model.conf_int(method="pl", tol=tol, max_iter=2000)
        found = {
            "coefficients": np.append(model.coef_, model.intercept_),
            "errors": model.bse_,
            "lower": ends[:, 0],
            "upper": ends[:, 1],
            "p": model.lrt_pvalues_,
        }
        if all(np.all(np.isfinite(values)) for values in found.values()):
            break
    return found


def rounded(found: dict[str, np.ndarray]) -> dict[str, list[float]]:
    """Numbers of ten digits."""
    return {name: [float(f"{v:.10g}") for v in values] for name, values in found.items()}


def main() -> None:
    sets = [rounded(judged(*firth_set(seed))) for seed in range(SETS)]
    published = {name: rounded(judged(X.T, Y)) for name, (X, Y) in (("endometrial", endometrial()), ("sex2", sex2()))}
    source = f"firthmodels {version('firthmodels')}, NumPy backend, with the smallest of the tolerances {TOLERANCES}"
    path = Path(__file__).parent / "firth_reference.json"
    path.write_text(json.dumps({"source": source, "sets": sets, **published}, indent=0) + "\n")


if __name__ == "__main__":
    main()
