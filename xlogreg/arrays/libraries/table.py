"""Array libraries by the names that users give; a new library needs a file beside this one, and a line here."""

import importlib
from typing import Any

from xlogreg.arrays.libraries.cupy import CUPY
from xlogreg.arrays.libraries.jax import JAX
from xlogreg.arrays.libraries.numpy import NUMPY
from xlogreg.arrays.libraries.strict import STRICT
from xlogreg.arrays.libraries.torch import TORCH
from xlogreg.arrays.traits import Library

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
    """Name of the library to which backend="auto" moves large host data."""
    return next(name for name, library in LIBRARIES.items() if library.is_gpu_default)
