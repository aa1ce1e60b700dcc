"""A race of L1 penalties: ours and the rivals on one case, each at the loosest tol that reaches the gap."""

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import ThreadpoolController, threadpool_limits

import xlogreg
from benchmarks.lassos import RIVALS, WAYS, Answer, Dense, Task, bounds, costs, largest, posed, version
from benchmarks.sparse import GAP, ROUNDS, Text, timed

TOLS = tuple(10.0**-digits for digits in range(1, 12))
CLOSE = 1e-7  # relative gap, up to which a rival goes on where ours gives no minimum
OWN_TOLS = (GAP, 3e-7, 1e-7, 1e-8)
LIMIT = 20.0  # seconds that a fit may take
MOST, ENOUGH, LONG = 12, 2.0, 5.0  # alternations; seconds of all that say enough, and of one that is not repeated
START = 300.0  # seconds in which its process has to be ready, and for one fold


class Case(NamedTuple):
    """Data, l1 as a share of the largest or as scikit-learn's C, and the rivals with a bias and without."""

    data: Dense | Text
    share: float = 0.0
    C: float = 0.0
    biased: tuple[str, ...] = ()
    unbiased: tuple[str, ...] = ()
    path: int = 1

    def task(self, bias: bool) -> Task:
        X, y = self.data.drawn()
        if self.C:
            return posed(X, y, np.asarray([1 / (self.C * len(y))]), bias)
        shares = np.geomspace(1.0, self.share, self.path) if self.path > 1 else np.asarray([self.share])
        return posed(X, y, largest(X, y) * shares, bias)


def models_of(task: Task, tol: float | None = None) -> Any:
    X, y = task.X, task.y
    options: dict[str, Any] = {"samples": "rows", "bias": task.bias, "tol": tol}
    if len(task.l1) == 1:
        return [xlogreg.fit(X, y, l1=float(task.l1[0]), time_limit=LIMIT, **options)]
    return xlogreg.fit_path(X, y, penalties=task.l1, l1_ratio=1.0, **options)


def ours(task: Task, tol: float | None = None) -> Answer:
    return answered(models_of(task, tol))


def answered(models: Any) -> Answer:
    return [(model.w, np.ravel(model.b)) for model in models]


def attempts(case: Case, name: str, bias: bool, sender: Any) -> None:
    """Send costs of a rival at each tol, with bounds of the minimum, the loosest first; None when it is ready."""
    task, fit = case.task(bias), RIVALS[name][1]
    fit(task.tiny(), GAP)
    sender.send(None)
    with threadpool_limits(1):
        for tol in TOLS:
            answer = fit(task, tol)
            sender.send((tol, costs(task, answer), bounds(task, answer)))
    sender.close()


def sent(limit: float, target: Callable[..., None], *given: Any) -> Iterator[Any]:
    """Yield what a process of its own sends once it is ready, and None in the end if it was silent for too long."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    worker = context.Process(target=target, args=(*given, sender), daemon=True)
    worker.start()
    sender.close()
    try:
        patience = START
        while receiver.poll(patience):
            found, patience = receiver.recv(), limit
            if found is not None:
                yield found
        yield None
    except EOFError:
        return
    finally:
        worker.kill()
        worker.join()


def tried(case: Case, name: str, bias: bool, goal: np.ndarray | None) -> tuple[list[tuple[float, np.ndarray]], bool]:
    """Return tol and costs of each attempt, up to one that reaches the goal, and whether the next took too long.

    Without a goal it goes on up to one that is proved to be close.
    """
    found: list[tuple[float, np.ndarray]] = []
    for attempt in sent(LIMIT, attempts, case, name, bias):
        if attempt is None:
            return found, True
        tol, reached, bound = attempt
        found.append((tol, reached))
        if np.all(reached <= (bound * (1 + CLOSE) if goal is None else goal)):
            break
    return found, False


def alternated(runs: dict[str, Callable[[], Answer]], own: str) -> dict[str, float]:
    """Shortest seconds of each; rivals run with all threads and with one."""
    control = ThreadpoolController()
    found: dict[tuple[str, bool], list[float]] = {(name, False): [] for name in runs}
    found |= {(name, True): [] for name in runs if name != own}
    for number in range(MOST):
        for (name, one), took in found.items():
            if not took or (took[0] < LONG and (number <= ROUNDS or sum(took) < ENOUGH)):
                with control.limit(limits=1) if one else contextlib.nullcontext():
                    took.append(timed(runs[name])[0])
    return {name: min(min(took) for (whose, _), took in found.items() if whose == name) for name in runs}


def own_tol(task: Task, least: np.ndarray) -> tuple[float | None, str, float]:
    """Find the largest tol of ours that reaches the gap, or None; how it went, and the gap at the first."""
    gaps: list[float] = []
    for tol in OWN_TOLS:
        models = models_of(task, tol)
        gaps.append(float(np.max(costs(task, answered(models)) / least)) - 1.0)
        if models[0].fit_info.reason == "time_limit":
            return None, "stopped", gaps[0]
        if gaps[-1] <= GAP:
            return tol, f"{tol:.0e}", gaps[0]
    return None, f"gap {min(gaps):.0e}", gaps[0]


def judged(found: list[tuple[float, np.ndarray]], stopped: bool, least: np.ndarray) -> tuple[float | None, str]:
    """Find the loosest tol of a rival that reaches the gap, or None; and how it went."""
    close = [tol for tol, reached in found if np.all(reached <= least * (1 + GAP))]
    nearest = min((float(np.max(reached / least)) - 1.0 for _, reached in found), default=np.inf)
    tol = close[0] if close else None
    return tol, f"{tol:.0e}" if close else "stopped" if stopped else f"gap {nearest:.0e}"


def compared(own: float | None, theirs: dict[str, float | None], best: str = "best") -> dict[str, Any]:
    """Divide the seconds of rivals by ours, and say so in words; None is a fit that was stopped.

    A rival that was stopped gives a lower bound, and 0 says that ours missed the gap that the rival reached. If neither
    reached it, there is no ratio.
    """
    known = {name: (took or LIMIT, took is None) for name, took in theirs.items()}
    known |= {best: min(known.values())} if known else {}
    result: dict[str, Any] = {}
    for name, (took, stopped) in known.items():
        if own is None and stopped:
            result[f"{name} / ours, in words"] = "neither reached it"
        elif own is None:
            result |= {f"{name} / ours": 0.0, f"{name} / ours, in words": "ours missed it"}
        else:
            ratio = took / own
            result |= {f"{name} / ours": ratio, f"{name} / ours, in words": f"{'>= ' if stopped else ''}{ratio:.3g}"}
    return result


def aimed(task: Task) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return costs of ours at its default, bounds of the minimum, and the goal of rivals if the bounds are close."""
    answer = ours(task)
    reference, bound = costs(task, answer), bounds(task, answer)
    return reference, bound, reference * (1 + GAP) if np.all(reference - bound <= GAP * reference) else None


def raced(case: Case, bias: bool, names: tuple[str, ...]) -> dict[str, Any]:
    """Time ours and the rivals, with a bias or without."""
    task, suffix = case.task(bias), " without a bias" if case.biased and not bias else ""
    own, there = f"ours{suffix}", [name for name in names if version(name)]
    reference, bound, goal = aimed(task)
    ways = {name: WAYS.get(name, (name,)) if len(task.l1) == 1 else (name,) for name in there}
    trials = {way: tried(case, way, bias, goal) for name in there for way in ways[name]}
    least = np.min([reference, *(reached for found, _ in trials.values() for _, reached in found)], axis=0)
    tol, word, first = own_tol(task, least)
    runs: dict[str, Callable[[], Answer]] = {} if tol is None else {own: partial(ours, task, tol)}
    words = {own: word}
    for way, (found, stopped) in trials.items():
        close, words[way] = judged(found, stopped, least)
        if close is not None:
            RIVALS[way][1](task.tiny(), GAP)
            runs[way] = partial(RIVALS[way][1], task, close)
    seconds = alternated(runs, own)
    result: dict[str, Any] = {f"seconds of {name}": took for name, took in seconds.items()}
    result |= {f"tol of {name}": text for name, text in words.items()}
    theirs: dict[str, float | None] = {}
    for name in there:
        if some := [seconds[way] for way in ways[name] if way in seconds]:
            theirs[name] = min(some)
        elif any(words[way] == "stopped" for way in ways[name]):
            theirs[name] = None
    result |= compared(seconds.get(own), theirs, f"best{suffix}")
    result |= {f"missing: {name}": "not installed" for name in names if name not in there}
    return result | {
        f"reached by {own} at 1e-6": first,
        f"{own} above the least": float(np.max(reference / least)) - 1.0,
        f"proved, {own}": float(np.max(1.0 - bound / least)),
    }
