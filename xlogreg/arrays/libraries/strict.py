"""array-api-strict: only the standard, on devices that behave as if they were separate; for tests."""

import importlib
from typing import Any

import numpy as np

from xlogreg.arrays.traits import Library

__all__ = ["STRICT"]


def _device(module: Any, name: Any) -> Any:
    return module.Device("CPU_DEVICE" if name is None else name) if not isinstance(name, module.Device) else name


def _fetch(array: Any) -> np.ndarray:
    module = importlib.import_module("array_api_strict")
    return np.asarray(array.to_device(module.Device("CPU_DEVICE")))


STRICT = Library(
    module="array_api_strict",
    owns=lambda array: type(array).__module__.startswith("array_api_strict"),
    device=_device,
    device_name=lambda device: str(device._device),
    fetch=_fetch,
    small_blocks=lambda device: True,
    remedy="pip install array-api-strict",
)
