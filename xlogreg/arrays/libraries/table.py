"""The array libraries by the names that users call them: a new one is a file beside this, and a line here."""

import importlib
from typing import Any

from xlogreg.arrays.libraries.cupy import CUPY
from xlogreg.arrays.libraries.jax import JAX
from xlogreg.arrays.libraries.numpy import NUMPY
from xlogreg.arrays.libraries.strict import STRICT
from xlogreg.arrays.libraries.torch import TORCH
from xlogreg.arrays.library import Library

__all__ = ["LIBRARIES", "gpu_default", "module_of"]

LIBRARIES: dict[str, Library] = {
    "numpy": NUMPY,
    "cupy": CUPY,
    "torch": TORCH,
    "jax": JAX,
    "array-api-strict": STRICT,
}


def module_of(name: str) -> Any:
    """Import the module of a library."""
    return importlib.import_module(LIBRARIES[name].module)


def gpu_default() -> str:
    """The library that backend="auto" takes large host data to."""
    return next(name for name, library in LIBRARIES.items() if library.is_gpu_default)
