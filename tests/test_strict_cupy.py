"""What fits cost on a GPU, and how they fare on machines of other kinds: on a CuPy without a GPU, in other processes.

`tests/strict_cupy` holds that CuPy. It must not be on the path of this process, where CuPy means the real one.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HERE = ROOT / "tests" / "strict_cupy"
FIGURES = ("kernels", "lonely", "syncs", "uploads", "kB up", "kB down", "traffic", "peak")

# At most so many of each figure, as `tests/strict_cupy/figures.py` prints them. A lonely reduction is one that a single
# block of threads runs alone. Traffic and peak memory are multiples of X; the peak leaves out an X that lies there.
BUDGETS = {
    "fit": (315, 17, 16, 20, 417, 24, 41.8, 3.3),
    "fit without penalty": (424, 32, 18, 26, 418, 31, 65.3, 4.4),
    "fit from the host": (319, 17, 17, 20, 6017, 24, 41.8, 4.3),
    "200 steps of gd": (9563, 1014, 21, 22, 206, 12, 714.4, 4.4),
    "predict_proba": (14, 0, 1, 0, 0, 1, 2.1, 0.3),
    "fit_many, 20 targets": (662, 21, 27, 133, 1481, 81, 494.5, 5.3),
    "fit_path, 15 penalties": (583, 37, 27, 74, 635, 44, 157.5, 4.4),
    "fit_cv, 6 penalties, 5 folds": (1810, 31, 162, 176, 2957, 170, 277.1, 5.4),
    "bootstrap, 20 samples": (1027, 66, 62, 102, 2056, 79, 267.7, 6.0),
    "softmax, 5 classes": (681, 0, 31, 45, 118, 87, 105.6, 3.1),
    "softmax, fit_cv, 4 penalties, 3 folds": (7269, 0, 301, 379, 1266, 979, 858.2, 4.2),
    "wide, 3000 features of 500 samples": (293, 0, 16, 17, 179, 12169, 63.5, 4.1),
    "pass: gradient": (24, 3, 0, 0, 0, 0, 2.3, 0.1),
    "pass: gradient and separation": (30, 5, 0, 0, 0, 0, 2.4, 0.1),
    "pass: Hessian": (35, 3, 0, 0, 0, 0, 17.6, 4.1),
    "pass: Hessian and separation": (41, 5, 0, 0, 0, 0, 17.6, 4.1),
    "pass: spread": (9, 0, 0, 0, 0, 0, 5.1, 1.1),
}

# the machine of each scenario of `tests/strict_cupy/scenarios.py`
SMALL, LARGE = (
    dict.fromkeys(("STRICT_CUPY_LIMIT", "STRICT_CUPY_DEVICE_BYTES"), str(int(size * 40_000 * 32 * 4)))  # times X
    for size in (1.2, 1.4)
)
SCENARIOS = {
    "fit_on_another_device": {},
    "predict_on_another_device": {},
    "weights_on_another_device": {},
    "class_weights_on_another_device": {},
    "stream_of_the_user": {},
    "memory_runs_out": LARGE,
    "too_little_memory": SMALL,
    "no_pinned_memory": SMALL | {"STRICT_CUPY_PINNED": "0"},
    "stream_of_the_user_and_too_little_memory": SMALL,
}


def run(*command, **environment):
    path = os.pathsep.join([str(HERE), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", **environment}
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="session")
def figures():
    """Figures of each fit, all measured in one process."""
    found = json.loads(run(str(HERE / "figures.py")))
    for figure in found.values():
        figure |= {"kB up": figure["bytes_up"] / 1e3, "kB down": figure["bytes_down"] / 1e3}
    return found


def test_there_is_a_budget_for_each_fit(figures):
    assert list(figures) == list(BUDGETS)


@pytest.mark.parametrize("name", BUDGETS)
def test_a_fit_costs_no_more_than_its_budget(figures, name):
    found = figures[name]
    over = {figure: (found[figure], most) for figure, most in zip(FIGURES, BUDGETS[name], strict=True)}
    assert not {figure: pair for figure, pair in over.items() if pair[0] > pair[1]}


@pytest.mark.parametrize("name", SCENARIOS)
def test_it_works_on_another_machine(name):
    run(str(HERE / "scenarios.py"), name, **SCENARIOS[name])


def test_what_computes_here_keeps_the_rules_of_a_gpu():
    options = ["-q", "-c", os.devnull, "--rootdir", str(HERE), "--noconftest", "-p", "no:cacheprovider", "-W", "error"]
    run("-m", "pytest", *options, str(HERE / "rules.py"))


def test_it_is_no_cupy_of_this_process():
    found = importlib.util.find_spec("cupy")
    assert found is None or HERE not in Path(found.origin).parents
