"""The calls of the CUDA runtime that the library makes."""

import os
import threading

from cupy._counts import counts

DEVICE_BYTES = int(os.environ.get("STRICT_CUPY_DEVICE_BYTES", 141 * 10**9))
DEVICES = int(os.environ.get("STRICT_CUPY_DEVICES", "2"))


class CUDARuntimeError(RuntimeError):
    """An error of the driver."""


class _Current(threading.local):
    device = 0


_current = _Current()


def getDeviceCount():
    return DEVICES


def getDevice():
    return _current.device


def setDevice(device):
    if not 0 <= device < DEVICES:
        raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
    _current.device = device


def memGetInfo():
    return DEVICE_BYTES - counts.live, DEVICE_BYTES


def runtimeGetVersion():
    return 13000


def driverGetVersion():
    return 13000


def deviceSynchronize():
    from cupy.cuda import stream

    stream.synchronize_device(getDevice())
