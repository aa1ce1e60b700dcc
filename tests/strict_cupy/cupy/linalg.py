"""Linear algebra on the device; each function waits for it, to look at the solver's status."""

import numpy as np

from cupy._core.functions import NAMES, made
from cupy._core.table import TABLE

LinAlgError = np.linalg.LinAlgError
matmul = NAMES["matmul"]
globals().update({name: made(name, signature, np.linalg) for name, signature in TABLE["linalg"].items()})
