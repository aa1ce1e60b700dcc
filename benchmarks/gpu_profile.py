"""Where the time of one warm fit goes: steps of the solver, calls of Python, and what ran on the GPU.

Three fits, since a profiler slows down what it watches. "steps": seconds between the calls of the fit's callback, from
the start to the first and from the last to the end included. "inside" and "own": calls by the seconds in them, those of
xlogreg with what they call and all without; a call that waits for the device has the seconds of that wait. "device":
what ran there, and the calls of CUDA, such as waits ("Synchronize"), by PyTorch's profiler, which sees the kernels of
the other libraries, too.
"""

import cProfile
import importlib
import importlib.util
import itertools
import pstats
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xlogreg
from benchmarks.gpu_bench import Bench

__all__ = ["profile", "shown_profile"]

PACKAGE = str(Path(xlogreg.__file__).parent)
KEPT = 15  # calls and kernels that are kept, the longest first


def profile(bench: Bench, X: Any, Y: Any) -> dict[str, Any]:
    """Profile a fit of X (n_x, m) that has been made before; ``X`` and ``Y`` lie on the device."""

    def fit(**options: Any) -> Any:
        return xlogreg.fit(X, Y, l2=1.0 / X.shape[1], **options)

    reached = [time.perf_counter()]
    bench.timed(lambda: fit(callback=lambda state: reached.append(time.perf_counter())), made=lambda model: model.w)
    reached.append(time.perf_counter())
    row: dict[str, Any] = {"steps": [after - before for before, after in itertools.pairwise(reached)]}
    watcher = cProfile.Profile()
    watcher.runcall(bench.timed, fit, made=lambda model: model.w)
    row |= calls(watcher)
    if bench.on_gpu and torch_sees_cuda():
        try:
            row["device"] = on_device(lambda: bench.timed(fit, made=lambda model: model.w))
        except Exception as error:  # the profile of calls is there without it
            row["device"] = {"error": f"{type(error).__name__}: {error}"}
    return row


def torch_sees_cuda() -> bool:
    return importlib.util.find_spec("torch") is not None and importlib.import_module("torch").cuda.is_available()


def calls(watcher: cProfile.Profile) -> dict[str, list]:
    """The longest calls: name, number, seconds."""
    found = [
        (file, f"{Path(file).stem}:{line} {name}" if line else name, count, own, inside)
        for (file, line, name), (_, count, own, inside, _) in pstats.Stats(watcher).stats.items()
    ]
    ours = sorted((call for call in found if call[0].startswith(PACKAGE)), key=lambda call: -call[4])[: 2 * KEPT]
    return {
        "inside": [[name, count, inside] for _, name, count, _, inside in ours],
        "own": [[name, count, own] for _, name, count, own, _ in sorted(found, key=lambda call: -call[3])[:KEPT]],
    }


def on_device(run: Callable[[], Any]) -> dict[str, list]:
    """Kernels and copies, and the calls of CUDA on the host: name, number, seconds."""
    profiler = importlib.import_module("torch.profiler")
    activities = [profiler.ProfilerActivity.CPU, profiler.ProfilerActivity.CUDA]
    with profiler.profile(activities=activities) as seen:
        run()
    events = seen.key_averages()
    kernels = [[event.key, event.count, event.self_device_time_total * 1e-6] for event in events]
    asked = [[event.key, event.count, event.self_cpu_time_total * 1e-6] for event in events if is_cuda(event.key)]
    return {
        "kernels": sorted((kernel for kernel in kernels if kernel[2]), key=lambda kernel: -kernel[2])[:KEPT],
        "kernels and copies": [["all", sum(k[1] for k in kernels if k[2]), sum(k[2] for k in kernels)]],
        "calls": sorted(asked, key=lambda call: -call[2])[:KEPT],
    }


def is_cuda(name: str) -> bool:
    """Whether a name is one of CUDA's own functions, as cudaLaunchKernel or cuLaunchKernel."""
    return name.startswith("cu") and (name.startswith("cuda") or name[2:3].isupper())


def shown_profile(row: dict[str, Any], count: int = 10) -> str:
    """The head of each list, in milliseconds."""
    lines = ["steps " + " ".join(f"{1e3 * s:.2f}" for s in row["steps"][:24]) + " ms"]
    device = row.get("device", {})
    if "error" in device:
        lines.append(f"device {device['error']}")
    lists = {name: row[name] for name in ("inside", "own")} | {k: v for k, v in device.items() if k != "error"}
    for name, entries in lists.items():
        lines.append(f"{name}: " + ", ".join(f"{key[:48]} x{n} {1e3 * s:.2f}" for key, n, s in entries[:count]))
    return "\n".join(f"    {line}" for line in lines)
