"""scikit-learn's lbfgs through its array API: on PyTorch's tensors and CuPy's arrays."""

import importlib
from functools import partial
from typing import Any

from benchmarks.competitors.sklearn import SETTINGS
from benchmarks.contest import Answer, Competitor, from_sklearn
from benchmarks.problems import Problem
from xlogreg.arrays.place import place_on, to_host

PLACES = {"torch": ("torch", "cpu"), "torch cuda": ("torch", "cuda"), "cupy": ("cupy", "")}


def prepare(problem: Problem, backend: str, device: str) -> tuple[Any, Any, float]:
    place = place_on(backend, device or None)
    return place.put(problem.X), place.put(problem.y), problem.C


def fit(data: tuple[Any, Any, float], **options: Any) -> Answer:
    from sklearn import config_context
    from sklearn.linear_model import LogisticRegression

    X, y, C = data
    with config_context(array_api_dispatch=True):
        found = LogisticRegression(C=C, solver="lbfgs", **options).fit(X, y)
    return from_sklearn(to_host(found.coef_), to_host(found.intercept_), int(max(found.n_iter_)))


def wait(backend: str) -> None:
    cuda = importlib.import_module(backend).cuda
    (cuda.Device() if backend == "cupy" else cuda).synchronize()


COMPETITORS = [
    Competitor(
        f"scikit-learn lbfgs, {name}",
        "scikit-learn",
        ("sklearn.linear_model", backend, "xlogreg"),
        partial(prepare, backend=backend, device=device),
        fit,
        SETTINGS["lbfgs"],
        backend=backend,
        device=device,
        wait=partial(wait, backend) if device != "cpu" else lambda: None,
        environment={"SCIPY_ARRAY_API": "1"},
        few=device != "cpu",
    )
    for name, (backend, device) in PLACES.items()
]
