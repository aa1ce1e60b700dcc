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
MORE = 1.1  # rounding errors of another BLAS may cost a pass more
BUDGETS = {
    "fit": (149, 0, 10, 14, 203, 10, 34.9, 0.4),
    "fit without penalty": (204, 0, 12, 23, 204, 17, 45.2, 0.4),
    "fit from the host": (153, 0, 11, 14, 5803, 10, 34.9, 1.4),
    "200 steps of gd": (2336, 0, 14, 21, 205, 10, 519.1, 0.9),
    "predict_proba": (6, 0, 1, 0, 0, 1, 1.4, 0.2),
    "fit_many, 20 targets": (1308, 0, 21, 27, 1273, 80, 236.2, 1.1),
    "fit_path, 15 penalties": (406, 0, 17, 20, 217, 29, 101.8, 1.1),
    "fit_cv, 6 penalties, 5 folds": (717, 0, 33, 60, 2317, 142, 148.2, 3.0),
    "bootstrap, 20 samples": (733, 0, 22, 38, 1420, 41, 138.4, 1.1),
    "softmax, 5 classes": (385, 0, 24, 37, 107, 128, 77.1, 3.1),
    "softmax, fit_cv, 4 penalties, 3 folds": (1658, 0, 88, 137, 843, 876, 449.3, 4.3),
    "wide, 3000 features of 500 samples": (106, 0, 11, 11, 155, 2131, 39.1, 4.1),
    "pass: gradient": (8, 0, 0, 0, 0, 0, 2.1, 0.1),
    "pass: gradient and separation": (9, 0, 0, 0, 0, 0, 2.2, 0.1),
    "pass: Hessian": (40, 0, 0, 0, 0, 0, 9.4, 0.3),
    "pass: Hessian and separation": (41, 0, 0, 0, 0, 0, 9.4, 0.3),
    "pass: spread": (9, 0, 0, 0, 0, 0, 2.1, 0.1),
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
    path = os.pathsep.join([str(HERE), str(ROOT), os.environ.get("PYTHONPATH", "")])
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


@pytest.mark.slow
def test_there_is_a_budget_for_each_fit(figures):
    assert list(figures) == list(BUDGETS)


@pytest.mark.parametrize("name", BUDGETS)
@pytest.mark.slow
def test_a_fit_costs_no_more_than_its_budget(figures, name):
    found = figures[name]
    over = {figure: (found[figure], most) for figure, most in zip(FIGURES, BUDGETS[name], strict=True)}
    assert not {figure: pair for figure, pair in over.items() if pair[0] > MORE * pair[1]}


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.slow
def test_it_works_on_another_machine(name):
    run(str(HERE / "scenarios.py"), name, **SCENARIOS[name])


@pytest.mark.slow
def test_what_computes_here_keeps_the_rules_of_a_gpu():
    options = ["-q", "-c", os.devnull, "--rootdir", str(HERE), "--noconftest", "-p", "no:cacheprovider", "-W", "error"]
    run("-m", "pytest", *options, str(HERE / "rules.py"))


def test_it_is_no_cupy_of_this_process():
    found = importlib.util.find_spec("cupy")
    assert found is None or HERE not in Path(found.origin).parents
