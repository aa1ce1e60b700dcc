"""Devices, streams and memory."""

from cupy.cuda import device, memory, pinned_memory, runtime, stream
from cupy.cuda.device import Device, get_device_id
from cupy.cuda.memory import MemoryPool
from cupy.cuda.pinned_memory import PinnedMemoryPointer, PinnedMemoryPool, alloc_pinned_memory
from cupy.cuda.stream import Event, ExternalStream, Stream, get_current_stream

__all__ = ["Device", "Event", "ExternalStream", "MemoryPool", "PinnedMemoryPointer", "PinnedMemoryPool", "Stream"]
__all__ += ["alloc_pinned_memory", "device", "get_current_stream", "get_device_id", "is_available", "memory"]
__all__ += ["pinned_memory", "runtime", "stream"]


def is_available():
    return runtime.getDeviceCount() > 0
