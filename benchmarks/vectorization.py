"""The notes' loops beside whole-array expressions, on every backend here (notes 1.10, 2.1 to 2.4).

Run: python -m benchmarks.vectorization [--size N] [--json FILE]

Loops run over Python lists, which is the best that they can get, and once over NumPy arrays, as the notes have it for
the dot product (470 ms beside 1.5 ms there). Seconds are the median of several readings: of a loop, of one call; of an
expression, the mean of many calls in a row, after one outside the clock and until the device has them. Every result is
compared with that of the loop. The ratio (how many times faster) is what to read, the seconds are this machine's.
"""

import argparse
import importlib
import json
import math
import os
import platform
import runpy
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import xlogreg
from benchmarks.gpu_bench import WAIT
from xlogreg.arrays.libraries.table import LIBRARIES
from xlogreg.arrays.place import Place, is_array, place_on, to_host, why_unusable

LOOP_READINGS, READINGS = 3, 7
LONG_ENOUGH = 0.02  # seconds of calls in a row
WITHIN = {"float64": 1e-9, "float32": 1e-3}  # of the loop's largest number
FEATURES, RATE = 50, 0.5
# the loops of section 1.10 are those that the tests compare with
loop_descent = runpy.run_path(str(Path(__file__).parent.parent / "tests" / "reference.py"))["loop_descent"]


class Case(NamedTuple):
    """Arrays of about so many numbers; the loop over them, as lists or as they are; the expression of them."""

    draw: Callable[[np.random.Generator, int], tuple[np.ndarray, ...]]
    loop: Callable[..., Any]
    expression: Callable[..., Any]  # namespace, arrays -> an array or several
    lists: bool = True


def loop_dot(a, b):
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


def loop_product(A, v):
    u = [0.0] * len(A)
    for i in range(len(A)):
        for j in range(len(v)):
            u[i] += A[i][j] * v[j]
    return u


def loop_step(X, Y, w, b):
    return loop_descent(X, Y[0], RATE, 1, [row[0] for row in w], b[0][0])


def step(xp, X, Y, w, b):
    """One iteration of the notes' loop, section 2.4: w, b and J."""
    Z, A = xlogreg.forward(X, w, b)
    dw, db = xlogreg.gradients(X, A, Y)
    return xlogreg.update(w, dw, RATE), xlogreg.update(b, db, RATE), xlogreg.cost(Z, Y)


def draw_vectors(rng, size):
    return rng.random(size), rng.random(size)


def draw_vector(rng, size):
    return (rng.uniform(0.1, 2.0, size) * rng.choice([-1.0, 1.0], size),)


def draw_positive(rng, size):
    return (rng.uniform(0.1, 2.0, size),)


def draw_matrix(rng, size):
    side = math.isqrt(size)
    return rng.standard_normal((side, side)), rng.standard_normal(side)


def draw_samples(rng, size):
    X = rng.standard_normal((FEATURES, size // FEATURES))
    Y = (rng.random((1, X.shape[1])) < xlogreg.sigmoid(X[:1])).astype(float)
    return X, Y, 0.1 * rng.standard_normal((FEATURES, 1)), np.full((1, 1), 0.2)


CASES = {
    "dot, indexing arrays": Case(draw_vectors, loop_dot, lambda xp, a, b: a @ b, lists=False),
    "dot": Case(draw_vectors, loop_dot, lambda xp, a, b: a @ b),
    "matrix times vector": Case(draw_matrix, loop_product, lambda xp, A, v: A @ v),
    "exp(v)": Case(draw_vector, lambda v: [math.exp(x) for x in v], lambda xp, v: xp.exp(v)),
    "log(v)": Case(draw_positive, lambda v: [math.log(x) for x in v], lambda xp, v: xp.log(v)),
    "abs(v)": Case(draw_vector, lambda v: [abs(x) for x in v], lambda xp, v: xp.abs(v)),
    "maximum(v, 0)": Case(draw_vector, lambda v: [max(x, 0.0) for x in v], lambda xp, v: xp.maximum(v, 0.0)),
    "v ** 2": Case(draw_vector, lambda v: [x**2 for x in v], lambda xp, v: v**2),
    "1 / v": Case(draw_vector, lambda v: [1 / x for x in v], lambda xp, v: 1 / v),
    "gradient descent, a step": Case(draw_samples, loop_step, step),
}


def read(function: Callable[..., Any], *arguments: Any) -> float:
    """Seconds of a call."""
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def parts_of(made: Any) -> tuple[Any, ...]:
    return made if isinstance(made, tuple) else (made,)


def flat(parts: Iterable[Any]) -> np.ndarray:
    """Numbers, lists of them, or arrays, in one row on the host."""
    return np.concatenate([np.ravel(to_host(part) if is_array(part) else np.asarray(part)) for part in parts])


def time_expression(case: Case, place: Place, arrays: tuple[np.ndarray, ...], expected: np.ndarray) -> dict[str, Any]:
    """Seconds, and the largest difference from the loop's result in units of its largest number.

    Raises
    ------
    ArithmeticError
        If that is more than rounding.
    """
    here = [place.put(array, place.widest) for array in arrays]
    module = importlib.import_module(LIBRARIES[place.name].module)

    def call(calls: int = 1) -> Any:
        for _ in range(calls):
            made = case.expression(place.xp, *here)
        for array in parts_of(made):
            WAIT.get(place.name, WAIT["numpy"])(module, array)  # what is not there waits by itself
        return made

    with place.computing():
        made = call()
        calls = int(np.clip(LONG_ENOUGH / read(call), 1, 200))
        seconds = float(np.median([read(call, calls) / calls for _ in range(READINGS)]))
    difference = float(np.max(np.abs(flat(parts_of(made)) - expected)) / np.max(np.abs(expected)))
    if not difference <= WITHIN[place.widest]:
        raise ArithmeticError(f"{place} differs from the loop by {difference:.1e} of its largest number")
    return {"seconds": seconds, "difference": difference, "dtype": place.widest}


def measure(case: Case, size: int, places: dict[str, Place]) -> dict[str, Any]:
    """Seconds of the loop; seconds, ratio and difference at each place."""
    arrays = case.draw(np.random.default_rng(0), size)
    given = [array.tolist() for array in arrays] if case.lists else arrays
    expected = flat(parts_of(case.loop(*given)))
    loop = float(np.median([read(case.loop, *given) for _ in range(LOOP_READINGS)]))
    rows = {name: time_expression(case, place, arrays, expected) for name, place in places.items()}
    return {"loop": loop, **{name: {**row, "ratio": loop / row["seconds"]} for name, row in rows.items()}}


def find_places() -> tuple[dict[str, Place], dict[str, str]]:
    """By name, those that work here; and why others do not."""
    asked = {**{name: (name, None) for name in LIBRARIES}, "torch on cuda": ("torch", "cuda")}
    missing = {name: reason for name, where in asked.items() if (reason := why_unusable(*where))}
    return {name: place_on(*where) for name, where in asked.items() if name not in missing}, missing


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=1_000_000, help="numbers in the largest array of each case")
    parser.add_argument("--json", help="write the results there")
    options = parser.parse_args(arguments)
    # threads of several libraries in one process: those that spin while they wait take the cores of the others
    waiting = os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    places, missing = find_places()
    results = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {platform.system()}, {os.cpu_count()} cores",
        "threads": {"OPENBLAS_NUM_THREADS": os.environ.get("OPENBLAS_NUM_THREADS", "all"), "OMP_WAIT_POLICY": waiting},
        "python": platform.python_version(),
        "versions": {"xlogreg": xlogreg.__version__}
        | {name: status.version for name, status in xlogreg.available_backends().items() if status.usable},
        "devices": {name: place.device_name for name, place in places.items()},
        "missing": missing,
        "readings": {"loop": LOOP_READINGS, "expression": READINGS, "taken": "median"},
        "size": options.size,
        "cases": {},
    }
    print(f"{options.size} numbers; ms, and how many times faster than the loop (median of readings)")
    print(f"{'':26}{'loop':>9}" + "".join(f"{name:>19}" for name in places))
    for name, case in CASES.items():
        row = results["cases"][name] = measure(case, options.size, places)
        cells = [f"{1e3 * row[place]['seconds']:9.3f} {row[place]['ratio']:8.0f}x" for place in places]
        print(f"{name:26}{1e3 * row['loop']:9.1f}" + "".join(cells), flush=True)
    for name, reason in missing.items():
        print(f"{name}: {reason}")
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
