"""Streams and events: the order of the work on a device, and the detection of work that has none.

Each stream is a timeline whose work is numbered. A timeline knows, of every other, up to which number that one is done
before its own next work starts: a vector clock. Kernels run at once on the host; copies wait in their timeline until
something is ordered after them.
"""

import collections
import itertools
import threading

from cupy._counts import counts, lock
from cupy.cuda import runtime

__all__ = ["Event", "ExternalStream", "RaceError", "Stream", "current_timeline", "get_current_stream"]


class RaceError(RuntimeError):
    """Two streams use the same memory, one of them to write, and neither waits for the other."""


class Timeline:
    """The work of one stream."""

    def __init__(self, device, blocking, name):
        self.device, self.name = device, name
        self.number = 0  # of the latest work
        self.seen = {}  # timeline: number of the work that is done before the next work here
        self.waiting = collections.deque()  # (number, copy)
        self.blocking = blocking
        if blocking:
            _blocking[device].append(self)

    def implied(self):
        """Return the timelines that CUDA orders by itself: the default and the blocking ones wait for each other."""
        null = null_timeline(self.device)
        return _blocking[self.device] if self is null else [null] if self.blocking else []

    def begin(self):
        """Start the next work; return its number."""
        self.finish()
        for other in self.implied():
            other.finish()
            self.learn(other, other.number, other.seen)
        _merge(self.seen, _host)
        self.number += 1
        return self.number

    def learn(self, other, number, seen):
        _merge(self.seen, seen)
        _merge(self.seen, {other: number})

    def finish(self, number=None):
        """Run the waiting copies, up to that number."""
        while self.waiting and (number is None or self.waiting[0][0] <= number):
            self.waiting.popleft()[1]()

    def comes_after(self, other, number):
        """Whether the next work here starts after that work of the other timeline is done."""
        done = max(self.seen.get(other, 0), _host.get(other, 0))
        return other is self or done >= number or other in self.implied()

    def synchronize(self, kind):
        with lock:
            counts.add("syncs", kind)
            number = self.begin()
            _merge(_host, {**self.seen, self: number})


def _merge(seen, other):
    for timeline, number in other.items():
        seen[timeline] = max(number, seen.get(timeline, 0))


_host = {}  # what the host has waited for
_blocking = collections.defaultdict(list)
_nulls = {}
_pointers = itertools.count(4096, 16)


def null_timeline(device):
    if device not in _nulls:
        _nulls[device] = Timeline(device, False, f"the default stream of device {device}")
    return _nulls[device]


class Event:
    """A point in the work of a stream."""

    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self._point = None

    def record(self, stream=None):
        with lock:
            timeline = (stream or get_current_stream()).timeline
            number = timeline.begin()
            self._point = timeline, number, dict(timeline.seen)

    @property
    def done(self):
        if self._point is None:
            return True
        timeline, number, _ = self._point
        waits = any(found <= number for found, _ in timeline.waiting)
        timeline.finish(number)  # by the next question
        return not waits

    def synchronize(self):
        with lock:
            counts.add("syncs", "event.synchronize")
            if self._point is not None:
                timeline, number, seen = self._point
                timeline.finish(number)
                _merge(_host, {**seen, timeline: number})


class _Stacks(threading.local):
    def __init__(self):
        self.current, self.left = {}, []  # device: stream, and what was current before


_stacks = _Stacks()


class _Stream:
    device_id = -1

    @property
    def timeline(self):
        """Return the stream's work on the current device."""
        device = runtime.getDevice()
        if self.ptr == 0:
            return null_timeline(device)
        if self._timeline.device != device:
            raise RuntimeError(f"Stream of device {self._timeline.device} is used on device {device}")
        return self._timeline

    def __enter__(self):
        device = runtime.getDevice()
        before = get_current_stream()
        self.use()
        _stacks.left.append((device, before))
        return self

    def __exit__(self, *error):
        device, before = _stacks.left.pop()
        _stacks.current[device] = before

    def use(self):
        _stacks.current[self.timeline.device] = self
        return self

    def __eq__(self, other):
        return isinstance(other, _Stream) and self.ptr == other.ptr

    def __hash__(self):
        return hash(self.ptr)

    def __repr__(self):
        return f"<{type(self).__name__} {self.ptr} (device {self.device_id})>"

    @property
    def done(self):
        event = Event()
        event.record(self)
        return event.done

    def record(self, event=None):
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event):
        with lock:
            self.timeline.begin()
            if event._point is not None:
                timeline, number, seen = event._point
                timeline.finish(number)
                self.timeline.learn(timeline, number, seen)

    def synchronize(self):
        self.timeline.synchronize("stream.synchronize")


class Stream(_Stream):
    """A stream of the current device, or its default one."""

    def __init__(self, null=False, non_blocking=False, ptds=False, priority=None):
        self.ptr = 0 if null else next(_pointers)
        if not null:
            self.device_id = runtime.getDevice()
            self._timeline = Timeline(self.device_id, not non_blocking, f"stream {self.ptr}")
            _known[self.ptr] = self._timeline


class ExternalStream(_Stream):
    """A stream of another library, by its pointer."""

    def __init__(self, ptr, device_id=-1):
        self.ptr = 0 if ptr in (0, 1) else ptr
        if self.ptr and self.ptr not in _known:
            _known[ptr] = Timeline(runtime.getDevice(), False, f"stream {ptr}")
        self._timeline = _known.get(self.ptr)


_known = {}  # pointer: timeline
Stream.null = Stream(null=True)


def get_current_stream(device_id=-1):
    device = runtime.getDevice() if device_id == -1 else device_id
    return _stacks.current.get(device, Stream.null)


def current_timeline():
    return get_current_stream().timeline


def synchronize_device(device):
    with lock:
        counts.add("syncs", "device.synchronize")
        for timeline in (null_timeline(device), *_known.values()):
            if timeline.device == device:
                number = timeline.begin()
                _merge(_host, {**timeline.seen, timeline: number})
