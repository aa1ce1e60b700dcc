"""What the CuPy without a GPU refuses, and what it counts. `tests/test_strict_cupy.py` starts pytest on this file."""

import copy
import gc
import pickle

import cupy
import numpy as np
import pytest
from cupy._counts import counts
from cupy.cuda import Device, Event, Stream, alloc_pinned_memory, memory, pinned_memory, runtime
from cupy.cuda.memory import OutOfMemoryError
from cupy.cuda.stream import RaceError
from cupyx.scipy import sparse

HOST = np.arange(6.0).reshape(2, 3)


@pytest.fixture(autouse=True)
def _forget_races():
    """Keep the races of one test from the next: its memory goes back while streams still use it."""
    yield
    gc.collect()
    memory.lost.clear()


def there(host=HOST):
    return cupy.asarray(host)


def counted(work):
    counts.reset()
    before = counts.live
    result = work()
    return {**counts.summary(), "peak": counts.peak - before}, result


REFUSED = {
    "np.asarray": (TypeError, lambda a: np.asarray(a)),
    "arithmetic with an array of the host": (TypeError, lambda a: a + HOST),
    "an array of the host in arithmetic": (TypeError, lambda a: HOST + a),
    "a ufunc of an array of the host": (TypeError, lambda a: cupy.exp(HOST)),
    "a function of an array of the host": (TypeError, lambda a: cupy.sum(HOST)),
    "joining with an array of the host": (TypeError, lambda a: cupy.concatenate([a, HOST])),
    "where, of an array of the host": (TypeError, lambda a: cupy.where(a > 0, HOST, 0.0)),
    "a product with an array of the host": (TypeError, lambda a: a @ HOST.T),
    "a keyword that a ufunc lacks": (TypeError, lambda a: cupy.add(a, a, where=True)),
    "a keyword that a function lacks": (TypeError, lambda a: cupy.sum(a, where=True)),
    "a keyword of NumPy": (TypeError, lambda a: cupy.concatenate(arrays=[a])),
    "an axis that is not there": (ValueError, lambda a: a.sum(axis=2)),
    "a hash": (TypeError, lambda a: hash(a)),
    "a hash of a device": (TypeError, lambda a: hash(a.device)),
    "big-endian numbers": (ValueError, lambda a: cupy.asarray(HOST.astype(">f8"))),
    "text": (ValueError, lambda a: cupy.asarray(np.asarray(["a"]))),
    "long doubles": (ValueError, lambda a: cupy.asarray(HOST.astype("g"))),
    "a float as an index": (IndexError, lambda a: a[1.0]),
    "an array as the end of a slice": (TypeError, lambda a: a[: cupy.asarray(1)]),
    "writing an array of the host": (ValueError, lambda a: a.__setitem__(0, HOST[0])),
    "writing a list": (TypeError, lambda a: a.__setitem__(0, [1.0, 2.0, 3.0])),
    "set of another dtype": (TypeError, lambda a: a.set(HOST.astype("f4"))),
    "set of another shape": (ValueError, lambda a: a.set(HOST[0])),
    "set of a list": (TypeError, lambda a: a.set([[0.0] * 3] * 2)),
    "set of what is not contiguous": (RuntimeError, lambda a: a[:, ::2].set(HOST[:, ::2])),
    "arrays of two devices": (ValueError, lambda a: a + on_second_device()),
    "a kernel on another device": (ValueError, lambda a: cupy.exp(on_second_device())),
    "a copy on a stream of another device": (RuntimeError, lambda a: on_second_device().get(Stream())),
    "a device that is not there": (runtime.CUDARuntimeError, lambda a: Device(2).use()),
    "a sparse matrix of integers": (ValueError, lambda a: sparse.csr_matrix(a.astype("i8"))),
    "a slice of pinned memory": (TypeError, lambda a: alloc_pinned_memory(8)[:4]),
}


def on_second_device():
    with Device(1):
        return there()


@pytest.mark.parametrize("name", REFUSED)
def test_it_refuses(name):
    error, work = REFUSED[name]
    a = there()
    with pytest.raises(error):
        work(a)


def test_what_nobody_has_written_is_not_a_number():
    assert np.isnan(cupy.empty((2, 3)).get()).all()
    assert np.isnan(cupy.empty_like(there()).get()).all()


def test_indices_out_of_range_wrap_around_without_an_error():
    np.testing.assert_array_equal(there()[:, cupy.asarray([4, -1])].get(), HOST[:, [1, 2]])
    np.testing.assert_array_equal(cupy.take(there(), cupy.asarray([3]), axis=1).get(), HOST[:, :1])


def test_arrays_and_devices_can_be_copied():
    with Device(1):
        a = there()
    assert copy.deepcopy(a).device == a.device == Device(1) != Device(0)
    assert pickle.loads(pickle.dumps(a.device)) == a.device
    assert cupy.asarray(a).device == Device(0)
    np.testing.assert_array_equal(cupy.asarray(a).get(), HOST)


def test_new_arrays_lie_in_rows_whatever_their_sources():
    assert (there(np.asfortranarray(HOST)) + 1).flags.c_contiguous
    assert not there(np.asfortranarray(HOST)).astype("f4").flags.c_contiguous


def test_kernels_bytes_and_transfers_are_counted():
    index = cupy.asarray([2])
    found, a = counted(there)
    assert (found["uploads"], found["bytes_up"], found["kernels"], found["syncs"]) == (1, 48, 0, 0)
    found, _ = counted(lambda: (a + a[:1, :]) * 2.0)
    assert (found["kernels"], found["traffic"], found["peak"]) == (2, (48 + 24 + 48) + (48 + 48), 2 * 512)
    found, _ = counted(lambda: float(a.sum()))
    assert (found["kernels"], found["syncs"], found["downloads"], found["bytes_down"]) == (1, 1, 1, 8)
    found, _ = counted(lambda: a.T.reshape(3, 2)[:, 1:])
    assert found["kernels"] == 0
    found, _ = counted(lambda: a[a > 2])
    assert (found["kernels"], found["syncs"]) == (2, 1)
    found, _ = counted(lambda: a[:, index])
    assert (found["kernels"], found["traffic"]) == (1, 8 + 2 * 16)
    found, _ = counted(lambda: a.__setitem__((slice(None), index), 1.0))
    assert (found["kernels"], found["traffic"]) == (1, 8 + 16)
    found, _ = counted(lambda: a.T.get())  # in rows, which are made on the device
    assert (found["kernels"], found["downloads"]) == (1, 1)
    before = counts.live
    found, flat = counted(lambda: a.T.reshape(6))
    assert (found["kernels"], counts.live - before) == (1, 512)
    del flat
    assert counts.live == before


def test_a_reduction_of_few_outputs_is_lonely():
    a = cupy.ones((2, 30_000))
    for work, lonely in (
        (lambda: a.sum(axis=1), 1),
        (lambda: cupy.max(a, axis=-1, keepdims=True), 1),
        (lambda: a.sum(), 0),
        (lambda: a.sum(axis=(0, 1)), 0),
        (lambda: a.sum(axis=0), 0),
        (lambda: a[:, :10_000].sum(axis=1), 0),
    ):
        assert counted(work)[0]["lonely"] == lonely


def test_a_product_copies_what_is_not_contiguous_or_of_another_dtype():
    a, b = cupy.ones((40, 30)), cupy.ones((30, 20))
    assert counted(lambda: a @ b)[0]["kernels"] == 1
    assert counted(lambda: b.T @ a.T)[0]["kernels"] == 1
    assert counted(lambda: a[:, :10] @ b[:10])[0]["kernels"] == 2
    assert counted(lambda: a.astype("f4") @ b)[0]["kernels"] == 3
    assert counted(lambda: a[None, :, :].mT @ a)[0]["kernels"] == 2
    assert counted(lambda: a[:1] @ b[:, :1])[0]["kernels"] == 2  # a product of elements, and a sum


def test_many_arrays_are_joined_at_once():
    few, many = [there()] * 3, [there()] * 4
    for parts, kernels, uploads in ((few, 3, 0), (many, 1, 1), ([*many, few[0][:1]], 1, 3)):
        found, _ = counted(lambda parts=parts: cupy.concatenate(parts))
        assert (found["kernels"], found["uploads"]) == (kernels, uploads)


def test_results_are_written_where_they_should_be():
    a, found = there(), cupy.empty((2, 2))
    for work, expected, kernels in (
        (lambda out: cupy.matmul(a, a.T, out=out), HOST @ HOST.T, 1),
        (lambda out: cupy.matmul(a, a.T, out=out.T).T, HOST @ HOST.T, 2),  # not in rows: through an array of its own
        (lambda out: cupy.add(a[:, :2], 1.0, out=out), HOST[:, :2] + 1.0, 1),
        (lambda out: cupy.sum(a, axis=1, out=out[:, 0]), HOST.sum(axis=1), 1),
        (lambda out: cupy.matmul(a[:1], a[:1].T, out=out[:1, :1]), HOST[:1] @ HOST[:1].T, 2),
    ):
        figures, result = counted(lambda work=work: work(found))
        np.testing.assert_array_equal(result.get(), expected)
        assert figures["kernels"] == kernels
        assert result._memory is found._memory
    whole = cupy.zeros(3, "i8")
    with pytest.raises(TypeError):  # a float does not fit into an integer
        whole += 0.5


@pytest.mark.parametrize(("module", "error"), [(memory, OutOfMemoryError), (pinned_memory, runtime.CUDARuntimeError)])
def test_memory_ends(module, error, monkeypatch):
    used = {memory: memory.MemoryPool().used_bytes(), pinned_memory: 0}[module]
    monkeypatch.setattr(module, "LIMIT", used + 10_000)
    make = {memory: lambda: cupy.zeros(1000), pinned_memory: lambda: alloc_pinned_memory(8000)}[module]
    first = make()
    with pytest.raises(error):
        make()
    del first
    make()


# streams


def pinned(host=HOST):
    array = np.frombuffer(alloc_pinned_memory(host.nbytes), host.dtype, host.size).reshape(host.shape)
    array[...] = host
    return array


def copied(source, waits=True):
    """Copy to new memory on a stream of its own, which waits for the computing stream or not."""
    side, target = Stream(non_blocking=True), cupy.zeros((2, 3))
    if waits:
        side.wait_event(cupy.cuda.get_current_stream().record())
    target.set(source, stream=side)
    return side, target


def test_a_copy_comes_after_the_work_that_uses_its_memory():
    with pytest.raises(RaceError, match="writes memory that the default stream of device 0 may still be writing"):
        copied(pinned(), waits=False)


def test_a_stream_waits_for_the_copy_that_it_reads():
    source = pinned()
    side, target = copied(source)
    with pytest.raises(RaceError, match="reads memory that stream"):
        target + 1.0
    cupy.cuda.get_current_stream().wait_event(side.record())
    np.testing.assert_array_equal((target + 1.0).get(), HOST + 1.0)


def test_an_event_is_only_for_the_work_before_it():
    source = pinned()
    side, target = copied(source)
    event = side.record()
    target.set(source, stream=side)
    cupy.cuda.get_current_stream().wait_event(event)
    with pytest.raises(RaceError):
        target + 1.0


def test_the_host_waits_too():
    for wait in (lambda side: side.synchronize(), lambda side: side.record().synchronize()):
        source = pinned()
        side, target = copied(source)
        wait(side)
        np.testing.assert_array_equal(target.get(), HOST)


def test_the_default_stream_waits_for_blocking_streams_alone():
    a = there()
    with Stream():
        b = a + 1.0
    c = b * 1.0
    with Stream(non_blocking=True), pytest.raises(RaceError):
        b + 1.0
    np.testing.assert_array_equal(c.get(), HOST + 1.0)


def test_pinned_memory_is_read_as_late_as_possible():
    source = pinned()
    side, target = copied(source)
    source[...] = 7.0
    side.synchronize()
    assert (target.get() == 7.0).all()
    side, target = copied(pinned())  # dropped before the copy runs
    side.synchronize()
    assert np.isnan(target.get()).all()
    side, target = copied(HOST.copy())  # not pinned, so that it is read at once
    side.synchronize()
    assert (target.get() == HOST).all()


def test_memory_is_given_back_after_its_last_use():
    a = there()
    event = Event()
    with Stream(non_blocking=True) as side:
        side.wait_event(Stream.null.record())
        b = a + 1.0
        event.record()
    del a
    with pytest.raises(RaceError, match="given back"):
        cupy.zeros(3)
    assert b.shape == (2, 3)


# fused functions


def test_a_fused_function_is_one_kernel_and_its_temporaries_take_no_memory():
    @cupy.fuse(kernel_name="both")
    def both(x, y, scale):
        z = cupy.exp(-abs_of(x)) * scale + y
        return cupy.where(z > 1.0, z, 0.5), z.astype(np.float32, copy=False) / 2.0

    x, y = cupy.ones((100, 100)), cupy.ones((1, 100))
    found, (first, second) = counted(lambda: both(x, y, 2.0))
    assert (found["kernels"], found["fused"], found["traffic"]) == (1, 1, 80_000 + 800 + 80_000 + 40_000)
    assert found["peak"] == -(-80_000 // 512) * 512 + -(-40_000 // 512) * 512
    np.testing.assert_allclose(first.get(), np.full((100, 100), 1.0 + 2.0 * np.exp(-1.0)))
    assert second.dtype == np.float32
    np.testing.assert_allclose(both(x, y, 0.0)[0].get(), 0.5)  # traced once, for any number


def abs_of(x):
    return cupy.abs(x)


def test_every_result_of_a_fused_function_has_the_shape_of_all_arrays():
    fused = cupy.fuse(lambda x, y: (x * 2.0, y * 2.0))
    assert [part.shape for part in fused(cupy.ones((4, 1)), cupy.ones(3))] == [(4, 3), (4, 3)]
    assert not isinstance(cupy.fuse(lambda x: x + 1.0)(there()), tuple)


def test_numbers_are_weak_until_they_meet_each_other():
    x = cupy.ones(3, "f4")
    assert cupy.fuse(lambda x, a: x * a + 1.0)(x, 2.0).dtype == np.float32
    assert cupy.fuse(lambda x, a: x * (a * 2.0))(x, 2.0).dtype == np.float64
    assert cupy.fuse(lambda x: cupy.where(x > 0, x, 0.0))(x).dtype == np.float32


NOT_FUSED = {
    "a condition": lambda x: x if x > 0 else -x,
    "an index": lambda x: x[0],
    "a shape": lambda x: x * x.shape[0],
    "another shape": lambda x: cupy.reshape(x, (-1,)),
    "a sum": lambda x: cupy.sum(x),
    "a matrix product": lambda x: x @ x,
    "a method": lambda x: x.sum(),
    "a power of two": lambda x: 2.0**x,
    "an array of the host": lambda x: x + HOST,
    "an array of the device": lambda x: x + there(),
    "a number as a condition": lambda x: cupy.where(x, x, 0.0),
    "a list of results": lambda x: [x + 1.0],
    "a dtype by keyword": lambda x: cupy.add(x, 1.0, dtype="f4"),
    "a number as a result": lambda x: (x, 1.0),
}


@pytest.mark.parametrize("name", NOT_FUSED)
def test_a_fused_function_cannot_have(name):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the real one has no class of its own for it, either
        cupy.fuse(NOT_FUSED[name])(there())
    assert type(caught.value) in (Exception, TypeError, AttributeError)
    assert (there() + 1.0).shape == (2, 3)  # and nothing is being fused any more
