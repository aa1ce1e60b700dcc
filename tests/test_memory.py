"""What a fit and a prediction need beside X: blocks, never a copy of X. Each number is that of fresh processes."""

import functools
import subprocess
import sys
from pathlib import Path

import pytest

from xlogreg.samples.blocks import SMALL_BLOCK_BYTES
from xlogreg.samples.threads import thread_count

PROGRAM = """
import sys
import numpy as np
import xlogreg

dtype, n_x, m, rows, action = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
rng = np.random.default_rng(0)
X = np.empty((m, n_x) if rows else (n_x, m), dtype=dtype)
Y = np.empty(m, dtype=np.int64)
for start in range(0, m, 1000):
    part = rng.standard_normal((n_x, min(1000, m - start)))
    Y[start : start + 1000] = rng.random(part.shape[1]) < 1 / (1 + np.exp(-part[0] - part[1]))
    part = 40 * (part + 3).clip(0, 6) if dtype == "uint8" else part
    if rows:
        X[start : start + 1000] = part.T
    else:
        X[:, start : start + 1000] = part
options = {"samples": "rows" if rows else "columns", "l2": 1 / m}
model = xlogreg.fit(X[:1000].copy() if rows else X[:, :1000].copy(), Y[:1000], **options)
if action in ("auto", "newton", "lbfgs", "gd"):
    result = xlogreg.fit(X, Y, solver=action, **options, **({"max_iter": 3} if action == "gd" else {}))
elif action != "nothing":
    result = getattr(model, action)(X)
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024)
"""
MB = 2**20
FLOAT64 = ("float64", 100, 262_144, 0)  # 200 MB
ROWS = ("float64", 100, 262_144, 1)
FLOAT32 = ("float32", 50, 1_048_576, 0)
UINT8 = ("uint8", 100, 1_048_576, 0)  # 100 MB, and 400 MB in the float32 that it is computed in


@functools.cache
def resident_peak(shape, action):
    """In MB, of a process that makes X and does that."""
    command = [sys.executable, "-c", PROGRAM, *map(str, shape), action]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def budget(m):
    """In MB: two blocks a thread, two rows of m numbers, and 8 more, which are what allocators keep."""
    return (thread_count() * 2 * SMALL_BLOCK_BYTES + 2 * m * 8) / MB + 8


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from /proc, as Linux has it"),
]


@pytest.mark.parametrize(
    ("shape", "action"),
    [
        *((FLOAT64, action) for action in ("auto", "newton", "lbfgs", "gd", "predict_proba")),
        *((ROWS, action) for action in ("auto", "predict_proba")),
        *((UINT8, action) for action in ("auto", "lbfgs", "predict_proba")),
        (FLOAT32, "auto"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value)),
)
def test_a_large_X_is_never_copied(shape, action):
    excess = resident_peak(shape, action) - resident_peak(shape, "nothing")
    assert excess < budget(shape[2])
