"""The notes' gradient descent: `fit(solver="gd")` beside the same loop written by hand, on every backend here.

Run: python -m benchmarks.gradient_descent [--samples M] [--features N] [--iterations I] [--dtype float32] [--json FILE]

One process, the two run alternately, best of several; the ratio is what to read, the seconds are this
machine's. "by hand" is what people write: whole-array expressions with a cost in each iteration.
"""

import argparse
import json
import time

import numpy as np

import xlogreg
from xlogreg.arrays.place import place_on, to_host

REPEATS = 5


def by_hand(X, Y, learning_rate: float, iterations: int):
    """The notes' loop, section 2.4, with the library's functions on whole arrays."""
    W, b = X[:, :1] * 0.0, X[:1, :1] * 0.0
    for _ in range(iterations):
        Z, A = xlogreg.forward(X, W, b)
        xlogreg.cost(Z, Y)
        dW, db = xlogreg.gradients(X, A, Y)
        W, b = xlogreg.update(W, dW, learning_rate), xlogreg.update(b, db, learning_rate)
    return W


def duel(X, Y, options: dict) -> tuple[float, float, float]:
    """Seconds by hand, seconds of `fit`, relative difference of the weights; fetching those waits for the device."""
    times, weights = [], []
    for _ in range(REPEATS):
        start = time.perf_counter()
        expected = to_host(by_hand(X, Y, options["learning_rate"], options["max_iter"]))
        middle = time.perf_counter()
        w = to_host(xlogreg.fit(X, Y, **options).w)
        times.append((middle - start, time.perf_counter() - middle))
        weights.append(np.max(np.abs(w - expected)) / np.max(np.abs(expected)))
    hand, ours = np.min(times, axis=0)
    return hand, ours, max(weights)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=200_000)
    parser.add_argument("--features", type=int, default=50)
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float64")
    parser.add_argument("--json", help="write the results there")
    arguments = parser.parse_args()
    results = {"date": time.strftime("%Y-%m-%d"), **vars(arguments), "cases": {}}
    rng = np.random.default_rng(0)
    X = rng.standard_normal((arguments.features, arguments.samples)).astype(arguments.dtype)
    w = rng.standard_normal((1, arguments.features)) / arguments.features**0.5
    Y = (rng.random((1, arguments.samples)) < 1 / (1 + np.exp(-w @ X))).astype(arguments.dtype)
    versions = f"numpy {np.__version__}, xlogreg {xlogreg.__version__}"
    print(f"X {X.shape} {X.dtype}, {arguments.iterations} iterations, {versions}")
    print(f"{'backend':18}{'by hand s':>12}{'fit s':>12}{'ratio':>8}{'GB/s of fit':>14}{'difference':>12}")
    for name, status in xlogreg.available_backends().items():
        if not status.usable:
            print(f"{name:18}{'-':>12}  {status.reason}")
            continue
        place = place_on(name)
        if place.widest != "float64" and arguments.dtype == "float64":
            print(f"{name:18}{'-':>12}  no float64")
            continue
        here, labels = place.put(X), place.put(Y)
        options = {"solver": "gd", "learning_rate": 0.5, "max_iter": arguments.iterations}
        hand, ours, difference = duel(here, labels, options)
        rate = 2 * X.nbytes * arguments.iterations / ours / 1e9  # a pass reads X twice
        print(f"{name:18}{hand:12.3f}{ours:12.3f}{hand / ours:8.2f}{rate:14.1f}{difference:12.1e}")
        results["cases"][name] = {"by hand": hand, "seconds": ours, "ratio": hand / ours, "difference": difference}
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
