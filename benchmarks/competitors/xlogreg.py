"""xlogreg on every array library that is here, at its defaults; the others draw its curve."""

import importlib
from functools import partial
from typing import Any

import numpy as np

import xlogreg
from benchmarks.contest import Answer, Competitor
from benchmarks.problems import Problem
from xlogreg.arrays.place import place_on, to_host

# array-api-strict, NumPy in a wrapper that finds mistakes, is for tests
PLACES = {"numpy": ("numpy", ""), "torch": ("torch", "cpu"), "jax": ("jax", "cpu"), "cupy": ("cupy", "")}
PLACES |= {"torch cuda": ("torch", "cuda"), "jax cuda": ("jax", "cuda")}


def prepare(problem: Problem, backend: str, device: str, dtype: str | None = None) -> tuple[Any, Any, float]:
    place = place_on(backend, device or None)
    return place.put(np.asarray(problem.X, dtype=dtype)), place.put(problem.y), problem.l2


def fit(data: tuple[Any, Any, float], **options: Any) -> Answer:
    X, y, l2 = data
    model = xlogreg.fit(X, y, l2=l2, samples="rows", **options)
    w, b = to_host(model.w), to_host(model.b)
    return Answer(w, np.ravel(b), model.fit_info.iterations, model.fit_info.passes)


def wait(backend: str) -> None:
    if backend in ("cupy", "torch"):
        cuda = importlib.import_module(backend).cuda
        (cuda.Device() if backend == "cupy" else cuda).synchronize()


LOOSER = tuple({"tol": tol} for tol in (1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8))
COMPETITORS = [
    Competitor(
        f"xlogreg {name}",
        "xlogreg",
        ("xlogreg",) if backend == "numpy" else ("xlogreg", backend),
        partial(prepare, backend=backend, device=device),
        fit,
        backend=backend,
        device=device,
        wait=partial(wait, backend) if device != "cpu" else lambda: None,
        environment={"JAX_ENABLE_X64": "1", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"} if backend == "jax" else {},
        few=device != "cpu",
        looser=LOOSER if backend == "numpy" else (),
    )
    for name, (backend, device) in PLACES.items()
]
double = partial(prepare, backend="numpy", device="", dtype="float64")
exact = Competitor("xlogreg numpy float64", "xlogreg", ("xlogreg",), double, fit, ({"tol": 1e-15},), referee=True)
COMPETITORS.append(exact)
