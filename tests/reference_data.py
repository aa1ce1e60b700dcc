"""Published data sets, small enough to be written down, and their optima in fifty digits."""

import functools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from published_data import anes96, fair, lbw, star98

# Spector & Mazzeo (1980): grade point average, score, new teaching method -> better grade; after Greene, table 21.1
SPECTOR = """
2.66 20 0 0  2.89 22 0 0  3.28 24 0 0  2.92 12 0 0  4.00 21 0 1  2.86 17 0 0  2.76 17 0 0  2.87 21 0 0
3.03 25 0 0  3.92 29 0 1  2.63 20 0 0  3.32 23 0 0  3.57 23 0 0  3.26 25 0 1  3.53 26 0 0  2.74 19 0 0
2.75 25 0 0  2.83 19 0 0  3.12 23 1 0  3.16 25 1 1  2.06 22 1 0  3.62 28 1 1  2.89 14 1 0  3.51 26 1 0
3.54 24 1 1  2.83 27 1 1  3.39 17 1 1  2.67 24 1 0  3.65 21 1 1  4.00 23 1 1  3.10 21 1 0  2.39 19 1 1
"""
# launch temperature in F, and whether any O-ring was in distress, of 23 shuttle flights (Dalal, Fowlkes & Hoadley 1989)
O_RINGS = """
66 0  70 1  69 0  68 0  67 0  72 0  73 0  70 0  57 1  63 1  70 1  78 0  67 0  53 1  67 0  75 0  70 0  81 0  76 0  79 0
75 1  76 0  58 1
"""


def _table(text, columns):
    """X (n_x, m), Y (m,): the last column holds the labels."""
    data = np.asarray(text.split(), dtype=float).reshape(-1, columns)
    return data[:, :-1].T, data[:, -1]


def spector():
    """X (3, 32), Y (32,)."""
    return _table(SPECTOR, 4)


def o_rings():
    """X (1, 23), Y (23,)."""
    return _table(O_RINGS, 2)


def breast_cancer():
    """X (30, 569) as measured, from 1e-3 to 4e3, and Y (569,)."""
    X, Y = pytest.importorskip("sklearn.datasets").load_breast_cancer(return_X_y=True)
    return X.T, Y.astype(float)


# data set -> how to get it, and l2 times the number of samples
DATA = {"spector": (spector, 0.0), "o_rings": (o_rings, 0.0), "breast_cancer": (breast_cancer, 1.0)}
# those whose whole table of coefficients is known, without a penalty
TABLES = {"spector": spector, "o_rings": o_rings, "lbw": lbw, "fair": fair, "anes96": anes96, "star98": star98}


@functools.cache
def _optima():
    return json.loads(Path(__file__).with_name("reference.json").read_text())


def entry_of(name):
    """What make_reference.py wrote of a data set, numbers as text."""
    return _optima()[name]


def optimum(name):
    """w (n_x, 1), b (1, 1) in float64, and the whole entry that make_reference.py wrote, numbers as text."""
    entry = entry_of(name)
    return np.asarray(entry["w"], dtype=float)[:, None], np.asarray([[float(entry["b"])]]), entry


def cost_of(w, b, X, Y, l2):
    """J of w (n_x, 1), b (1, 1), its losses summed exactly; nothing of ours in it."""
    Z = (w.T @ X + b)[0]
    losses = np.maximum(Z, 0.0) - Y * Z + np.log1p(np.exp(-np.abs(Z)))
    return math.fsum(losses) / len(Y) + 0.5 * l2 * math.fsum(w[:, 0] ** 2)
