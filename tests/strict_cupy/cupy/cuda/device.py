"""Devices, each with a number; one of them is current in each thread."""

import threading

from cupy.cuda import runtime

__all__ = ["Device", "get_device_id"]

get_device_id = runtime.getDevice


class Left(threading.local):
    """Devices that were current before those that this thread has entered."""

    def __init__(self):
        self.devices = []


_left = Left()


class Device:
    """A GPU; as in CuPy, it cannot be hashed."""

    __hash__ = None

    def __init__(self, device=None):
        self.id = get_device_id() if device is None else int(device)

    def __int__(self):
        return self.id

    def __enter__(self):
        before = get_device_id()
        runtime.setDevice(self.id)
        _left.devices.append(before)
        return self

    def __exit__(self, *error):
        runtime.setDevice(_left.devices.pop())

    def __eq__(self, other):
        return isinstance(other, Device) and self.id == other.id

    def __repr__(self):
        return f"<CUDA Device {self.id}>"

    def __reduce__(self):
        return Device, (self.id,)

    def use(self):
        runtime.setDevice(self.id)
        return self

    def synchronize(self):
        with self:
            runtime.deviceSynchronize()

    @property
    def mem_info(self):
        with self:
            return runtime.memGetInfo()

    @property
    def compute_capability(self):
        return "90"
