"""Counts of what a GPU would do, and of the lines that cause it."""

import collections
import sys
import threading
from pathlib import Path

__all__ = ["counts", "lock"]

OURS = (str(Path(__file__).parent), "array_api_compat", "/numpy/", "contextlib.py", "functools.py")
BYTES = {"kernels": "traffic", "uploads": "bytes_up", "downloads": "bytes_down"}
FIGURES = ("kernels", "fused", "lonely", "syncs", "uploads", "downloads", *BYTES.values())
lock = threading.RLock()  # held for all work: streams and counts belong to every thread


class Counts:
    """Counts since the last `reset`.

    Attributes
    ----------
    total : Counter
        Of the names in FIGURES. A reduction is lonely if one thread block of the GPU would run it alone.
    sites : Counter
        Of (figure, kind of work, line that asked for it).
    live, peak : int
        Bytes of device memory in use now, and at most.
    """

    def __init__(self):
        self.live = 0
        self.reset()

    def reset(self):
        self.total = collections.Counter()
        self.sites = collections.Counter()
        self.peak = self.live

    def add(self, figure, kind, nbytes=0):
        with lock:
            self.total[figure] += 1
            self.sites[figure, kind, _site()] += 1
            if figure in BYTES:
                self.total[BYTES[figure]] += nbytes

    def allocate(self, nbytes):
        with lock:
            self.live += nbytes
            self.peak = max(self.peak, self.live)

    def summary(self):
        """Return all figures by name."""
        return {name: self.total[name] for name in FIGURES} | {"live": self.live, "peak": self.peak}

    def worst(self, figure, count=10):
        """Return the (number, kind, line) that cause most of a figure."""
        found = [(number, kind, line) for (name, kind, line), number in self.sites.items() if name == figure]
        return sorted(found, reverse=True)[:count]


def _site():
    """Name the nearest line of a caller that is neither here nor in the libraries between."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if not any(part in name for part in OURS):
            return f"{'/'.join(Path(name).parts[-3:])}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


counts = Counts()
