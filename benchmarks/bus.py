"""X that stays on the host while a GPU fits it: bytes copied a second, beside the bus's own bandwidth.

Run: python -m benchmarks.bus [--case NAME ...] [--json FILE], on a machine with CUDA; BUS_ALLOW_CPU=1 runs it without,
to see that it runs.

"bus" copies blocks of the size that a fit copies, one after the other, from pinned memory, and does nothing else.
"share" is what the passes of a fit copy a second, over that: both in one process, alternately, the median of three. The
device is told to have no memory left, so that X stays on the host whatever its size.
"""

import dataclasses
import os
import time
from statistics import median

import numpy as np

import xlogreg
from benchmarks.bars import at_least
from benchmarks.cases import report
from xlogreg.arrays.libraries.table import LIBRARIES
from xlogreg.arrays.place import Place, place_on, to_host, why_unusable
from xlogreg.samples.blocks import ARRIVING_BYTES

ROUNDS = 3
SHAPE = (4_000_000, 100)  # 1.6 GB of float32
DEVICES = {"cupy": None, "torch": "cuda"}


def copied(place: Place, X: np.ndarray) -> float:
    """Seconds of X, block by block."""
    step = ARRIVING_BYTES // X[:1].nbytes
    with place.computing():
        start = time.perf_counter()
        for first in range(0, len(X), step):
            block = place.send(X[first : first + step])
        to_host(block[:1, :1])
        return time.perf_counter() - start


def measure(name: str) -> dict[str, object]:
    allowed = "BUS_ALLOW_CPU" in os.environ
    device = None if allowed else DEVICES[name]
    reason = why_unusable(name, device)
    if reason:
        return {"case": name, "missing": reason}
    place, (m, n_x) = place_on(name, device), (200_000, 100) if allowed else SHAPE
    rng = np.random.default_rng(0)
    X = rng.standard_normal((m, n_x), dtype=np.float32)
    Y = X[:, 0] + rng.logistic(size=m) > 0
    known = LIBRARIES[name]
    LIBRARIES[name] = dataclasses.replace(known, free=lambda module, device: 0)
    try:
        shares, speeds = [], []
        for _ in range(ROUNDS + 1):  # of which the first warms up
            start = time.perf_counter()
            info = xlogreg.fit(X, Y, samples="rows", l2=1 / m, backend=name, device=device).fit_info
            speed = info.passes * X.nbytes / (time.perf_counter() - start)
            bus = X.nbytes / copied(place, X)
            shares.append(speed / bus)
            speeds.append(bus / 1e9)
    finally:
        LIBRARIES[name] = known
    assert info.fallback, "X was copied whole"
    return {"case": name, "device": info.device, "GB/s of the bus": median(speeds[1:]), "share": median(shares[1:])}


BARS = [at_least(0.85, "cases", name, "share") for name in DEVICES]

if __name__ == "__main__":
    report(__doc__, DEVICES, measure, BARS)
