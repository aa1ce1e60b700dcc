"""What a fit changes while it computes on a device: streams, memory, precision. Afterwards all is as it was before."""

import contextlib
import dataclasses
import sys
import threading
import types

import numpy as np
import pytest
from conftest import STATUS

import xlogreg
from xlogreg.arrays import traits
from xlogreg.arrays.libraries import cupy as cupy_row
from xlogreg.arrays.libraries import jax as jax_row
from xlogreg.arrays.libraries import torch as torch_row
from xlogreg.arrays.libraries.table import LIBRARIES
from xlogreg.arrays.place import place_on, to_host
from xlogreg.arrays.stored import Slices
from xlogreg.arrays.traits import HeldSetting, is_out_of_memory, side_stream
from xlogreg.samples import blocks

needs_torch = pytest.mark.skipif(not STATUS["torch"].usable, reason=STATUS["torch"].reason)
RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 600)).astype(np.float32)
Y = (X[0] + RNG.logistic(size=600) > 0).astype(int)


def error(name, text, base=RuntimeError):
    return type(name, (base,), {})(text)


FULL = [
    error("OutOfMemoryError", "Out of memory allocating 512 bytes (allocated so far: 0 bytes).", MemoryError),  # CuPy
    error("CUDARuntimeError", "cudaErrorMemoryAllocation: out of memory"),
    error("CUDADriverError", "CUDA_ERROR_OUT_OF_MEMORY: out of memory"),
    error("CUBLASError", "CUBLAS_STATUS_ALLOC_FAILED"),
    error("CUSOLVERError", "CUSOLVER_STATUS_ALLOC_FAILED"),
    error("CuSparseError", "CUSPARSE_STATUS_ALLOC_FAILED"),
    error("OutOfMemoryError", "CUDA out of memory. Tried to allocate 2.00 GiB."),  # PyTorch
    RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    error("AcceleratorError", "CUDA error: out of memory"),
    error("JaxRuntimeError", "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 8 bytes."),
]
OTHER = [
    MemoryError("Unable to allocate 7.45 GiB for an array"),
    MemoryError("out of memory while reading X"),
    ValueError("the word 'out of memory' of a user"),
    error("CUDARuntimeError", "cudaErrorInvalidDevice: invalid device ordinal"),
    error("CUBLASError", "CUBLAS_STATUS_NOT_SUPPORTED"),
]


@pytest.mark.parametrize("found", FULL, ids=str)
def test_a_full_device_is_known_by_the_words_of_each_library(found):
    assert is_out_of_memory(found)


@pytest.mark.parametrize("found", OTHER, ids=str)
def test_the_memory_of_the_host_and_other_errors_are_another_matter(found):
    assert not is_out_of_memory(found)


def test_memory_that_cannot_be_pinned_is_not_needed():
    def full(*_, **__):
        raise error("CUDARuntimeError", "cudaErrorMemoryAllocation: out of memory")

    def broken(*_, **__):
        raise error("CUDARuntimeError", "cudaErrorInvalidValue: invalid argument")

    for pinned, module in (
        (lambda module: cupy_row._pinned(module, X, "C"), lambda fail: _space(cuda=_space(alloc_pinned_memory=fail))),
        (lambda module: torch_row._pinned(module, X), lambda fail: _space(empty=fail)),
    ):
        assert pinned(module(full)) is X
        with pytest.raises(RuntimeError, match="InvalidValue"):
            pinned(module(broken))


def _space(**names):
    return types.SimpleNamespace(**names)


@pytest.mark.parametrize("order", ["C", "F"])
def test_pinned_memory_holds_the_block(order):
    # the pool of CuPy gives more memory than was asked for
    module = _space(cuda=_space(alloc_pinned_memory=lambda size: bytearray(2 * size)))
    block = np.asarray(X, order=order)
    found = cupy_row._pinned(module, block, order)
    np.testing.assert_array_equal(found, block)
    assert (found.flags.c_contiguous, found.flags.f_contiguous) == (block.flags.c_contiguous, block.flags.f_contiguous)


@pytest.mark.parametrize("number", [0, 2, 4711])
def test_a_copy_waits_for_what_the_computing_stream_has_queued(monkeypatch, number):
    calls = []
    side = _space(wait_event=lambda event: calls.append(event), synchronize=lambda: calls.append("copied"))
    cuda = _space(
        alloc_pinned_memory=bytearray,
        get_current_stream=lambda: _space(ptr=number, record=lambda: "all that is queued"),
        runtime=_space(deviceSynchronize=lambda: calls.append("all threads")),
    )
    array = _space(set=lambda host, stream: calls.append(("set", stream is side, host.tobytes())))
    monkeypatch.setattr(traits, "_streams", {"device": side})
    device = type("Device", (contextlib.nullcontext,), {"__str__": lambda self: "device"})()
    assert cupy_row._send(_space(cuda=cuda, empty=lambda *_: array), X, device) is array
    everything = ["all threads"] if number == cupy_row.PER_THREAD else []  # whose stream this thread cannot name
    assert calls == [*everything, "all that is queued", ("set", True, X.tobytes()), "copied"]


def test_each_device_has_one_side_stream_for_all_threads(monkeypatch):
    monkeypatch.setattr(traits, "_streams", {})
    barrier, found = threading.Barrier(4), []

    def ask(device):
        barrier.wait()
        found.append((device, side_stream(device, object)))

    threads = [threading.Thread(target=ask, args=(f"<CUDA Device {number % 2}>",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 2
    assert len({stream for _, stream in found}) == 2


@needs_torch
def test_blocks_are_read_on_the_stream_of_the_thread_that_fits(monkeypatch):
    current, seen = threading.local(), []

    def stream(module, device):
        mine = current.stream

        @contextlib.contextmanager
        def use():
            current.stream = mine
            yield

        return use

    class Read(Slices):
        def cut(self, start, stop, place):
            seen.append((threading.current_thread().name, getattr(current, "stream", None)))
            return super().cut(start, stop, place)

    monkeypatch.setitem(LIBRARIES, "torch", dataclasses.replace(LIBRARIES["torch"], stream=stream))
    monkeypatch.setattr(blocks, "SMALL_BLOCK_BYTES", X.nbytes // 3)
    current.stream = "the user's"
    xlogreg.fit(Read(X, 1), Y, l2=0.1, backend="torch")
    assert any(name.startswith("xlogreg-reader") for name, _ in seen)
    assert {stream for _, stream in seen} == {"the user's"}


def test_a_setting_is_held_as_long_as_any_thread_needs_it():
    now = ["user"]

    def change():
        before, now[0] = now[0], "ours"
        return lambda: now.__setitem__(0, before)

    held, entered, leave = HeldSetting(change), threading.Event(), threading.Event()

    def other():
        with held:
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with held, held:
        thread.start()
        entered.wait(10)
    assert now == ["ours"]
    leave.set()
    thread.join()
    assert now == ["user"]
    with pytest.raises(KeyError), held:
        raise KeyError
    assert now == ["user"]


def test_cupy_multiplies_in_float32_whatever_the_user_allows(monkeypatch):
    names = {"DEFAULT": 1, "PEDANTIC": 2, "FP16": 3, "FP32": 4, "FP64": 5, "BF16": 6, "TF32": 7}
    now = {}
    linalg = _space(
        get_compute_type=lambda dtype: now[np.dtype(dtype)],
        set_compute_type=lambda dtype, kind: now.__setitem__(np.dtype(dtype), kind),
        **{f"COMPUTE_TYPE_{name}": number for name, number in names.items()},
    )
    monkeypatch.setitem(sys.modules, "cupy._core._routines_linalg", linalg)
    for name, number in names.items():
        now[np.dtype(np.float32)] = number
        undo = cupy_row._change_precision()
        assert now[np.dtype(np.float32)] == (1 if name in ("TF32", "BF16", "FP16") else number)
        undo()
        assert now[np.dtype(np.float32)] == number
    monkeypatch.setitem(sys.modules, "cupy._core._routines_linalg", None)  # a CuPy that has it no more
    cupy_row._change_precision()()


@pytest.mark.parametrize(
    ("platform", "text", "name"),
    [
        ("gpu", "cuda:1", "cuda:1"),
        ("gpu", "rocm:1", "rocm:1"),
        ("gpu", "other(id=1)", "gpu:1"),
        ("cpu", "cpu:1", "cpu:1"),
        ("tpu", "TPU_1(process=0,(0,0,0,0))", "tpu:1"),
    ],
)
def test_devices_of_jax_have_the_names_of_other_libraries(platform, text, name):
    device = type("Device", (), {"platform": platform, "id": 1, "__str__": lambda self: text})()
    assert jax_row._device_name(device) == name
    asked = []
    module = _space(devices=lambda platform: asked.append(platform) or ["first", "second"])
    assert jax_row._device(module, name) == "second"
    assert jax_row._device(module, "gpu") == "first"
    assert asked == [name.partition(":")[0], "gpu"]


def outcome():
    torch = sys.modules["torch"]
    data = torch.from_numpy(X)
    model = xlogreg.fit(data, Y, l2=0.01)
    numbers = model.w, model.b, model.predict_proba(data), model.evaluate(data, Y).log_loss
    return [np.asarray(to_host(part) if hasattr(part, "numpy") else part).tobytes() for part in numbers]


@needs_torch
def test_settings_of_torch_change_no_bit_of_a_fit():
    import torch

    plain = outcome()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert outcome() == plain
        assert torch.is_autocast_enabled("cpu")
    for dtype in (torch.float64, torch.bfloat16):
        torch.set_default_dtype(dtype)
        try:
            assert outcome() == plain
        finally:
            torch.set_default_dtype(torch.float32)
    torch.set_default_device("meta")
    try:
        assert outcome() == plain
    finally:
        torch.set_default_device(None)


@needs_torch
@pytest.mark.parametrize("how", ["as it is", "high", "allow_tf32", "cuda", "mkldnn", "all"])
def test_torch_multiplies_in_float32_and_is_then_as_before(how):
    import torch

    set_precision = {
        "as it is": lambda: None,
        "high": lambda: torch.set_float32_matmul_precision("high"),
        "allow_tf32": lambda: setattr(torch.backends.cuda.matmul, "allow_tf32", True),
        "cuda": lambda: setattr(torch.backends.cuda.matmul, "fp32_precision", "tf32"),
        "mkldnn": lambda: setattr(torch.backends.mkldnn.matmul, "fp32_precision", "bf16"),
        "all": lambda: setattr(torch.backends, "fp32_precision", "tf32"),
    }[how]
    place, products = place_on("torch", "cpu"), (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)

    def precision():
        return [kind.fp32_precision for kind in products], torch.backends.fp32_precision

    try:
        set_precision()
        before = precision()
        with contextlib.suppress(KeyError), place.computing():
            with place.computing():
                assert set(precision()[0]) <= {"ieee", "none"}
            assert set(precision()[0]) <= {"ieee", "none"}
            raise KeyError
        assert precision() == before
        if how in ("high", "allow_tf32"):  # the old settings can still be asked
            assert torch.backends.cuda.matmul.allow_tf32
            assert torch.get_float32_matmul_precision() == "high"
        if how == "all":  # what was inherited still is
            torch.backends.fp32_precision = "ieee"
            assert precision()[0] == ["ieee", "ieee"]
    finally:
        torch.backends.fp32_precision = "none"
        torch.set_float32_matmul_precision("highest")
        for kind in products:
            kind.fp32_precision = "none"
