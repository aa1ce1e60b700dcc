"""The project's fuzzer: random inputs, and a judge that shares no code with the library.

    python -m tests.fuzz --seconds 600            counts by kind of case and of fault; the smallest input of each fault
    python -m tests.fuzz --kind tiny --cases 500 --seed 3
    python -m tests.fuzz --replay tiny:17         one case again, with what is wrong with it

Exit status 1 if anything is wrong, or 1 % of the fits without a penalty leave undecided whether there is a minimum.
"""

import argparse
import sys
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from tests.fuzz_calls import Outcome, run
from tests.fuzz_cases import KINDS, Case, draw, take, valid
from tests.verdicts import FAULTS

__all__ = ["main", "names", "shrink", "snippet"]

UNDECIDED = 0.01  # share of the fits without a penalty
SHRINKING = 15.0  # seconds for each kind of fault


def names(seed: int, kinds: dict[str, float]) -> Iterator[str]:
    """Names of cases without end; the same for the same seed."""
    rng = np.random.default_rng([zlib.crc32(b"names"), seed])
    kind, chance = list(kinds), np.array(list(kinds.values()), float) / sum(kinds.values())
    count: Counter[str] = Counter()
    while True:
        chosen = str(rng.choice(kind, p=chance))
        yield f"{chosen}:{seed * 1_000_000 + count[chosen]}"
        count[chosen] += 1


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=None, help="how long; 60 unless --cases is given")
    parser.add_argument("--cases", type=int, default=None, help="how many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="of these only; may be repeated")
    parser.add_argument("--replay", metavar="KIND:NUMBER", help="one case again")
    parser.add_argument("--shrink", type=float, default=SHRINKING, help="seconds to make the input of a fault smaller")
    parser.add_argument("--list", action="store_true", help="every failing case as it is found")
    given = parser.parse_args(arguments)
    if given.replay:
        return _replay(given.replay, given.shrink)
    seconds = given.seconds if given.seconds is not None else (60.0 if given.cases is None else np.inf)
    kinds = {kind: KINDS[kind] for kind in given.kind or KINDS}
    began, table, failing = time.perf_counter(), defaultdict(Counter), {}
    for number, name in enumerate(names(given.seed, kinds)):
        if number == given.cases or time.perf_counter() - began > seconds:
            break
        case = draw(name)
        start = time.perf_counter()
        outcome = run(case)
        _count(table[case.kind], outcome, time.perf_counter() - start)
        for fault, text in outcome.faults.items():
            failing.setdefault(fault, []).append(case)
            if given.list:
                print(f"{name:20}{fault:20}{text}", flush=True)
    bad = _table(table, time.perf_counter() - began)
    for fault in FAULTS:
        if fault in failing:
            _show(min(failing[fault], key=lambda case: case.X.size), fault, len(failing[fault]), given.shrink)
    return int(bad)


def _count(row: Counter, outcome: Outcome, seconds: float) -> None:
    row["cases"] += 1
    row["seconds"] += seconds
    for name in ("fits", "asked", "undecided", "unsure"):
        row[name] += getattr(outcome, name)
    for fault in outcome.faults:
        row[fault] += 1


def _table(table: dict[str, Counter], seconds: float) -> bool:
    """Print the counts; whether anything is wrong."""
    whole = sum(table.values(), Counter())
    faults = [fault for fault in FAULTS if whole[fault]]
    rows = [*((kind, table[kind]) for kind in KINDS if kind in table), ("all", whole)]
    columns = ["cases", "fits", "ms a case", "l2=0", "undecided", "judge unsure", *faults]
    widths = [max(11, len(name) + 2) for name in ["", *columns]]
    print(_row(["", *columns], widths))
    for kind, row in rows:
        ms = 1e3 * row["seconds"] / max(1, row["cases"])
        cells = [kind, row["cases"], row["fits"], f"{ms:.1f}", row["asked"], row["undecided"], row["unsure"]]
        print(_row(cells + [row[fault] or "." for fault in faults], widths))
    share = whole["undecided"] / max(1, whole["asked"])
    print(f"{whole['cases']} cases in {seconds:.0f} s; {100 * share:.2f} % of the fits without a penalty are undecided")
    return bool(faults) or share >= UNDECIDED


def _row(cells: list, widths: list[int]) -> str:
    return "".join(f"{cell!s:>{width}}" for cell, width in zip(cells, widths, strict=True))


def _show(case: Case, fault: str, count: int, seconds: float) -> None:
    print(f"\n== {fault}: {FAULTS[fault]}; {count} cases, the smallest: {case.name}")
    small = shrink(case, lambda other: fault in run(other).faults, seconds)
    print(snippet(small))
    print(f"# {run(small).faults.get(fault)}", flush=True)


def _replay(name: str, seconds: float) -> int:
    case = draw(name)
    outcome = run(case)
    print(snippet(case))
    for fault, text in outcome.faults.items():
        print(f"# {fault}: {text}")
    for fault in outcome.faults:
        _show(case, fault, 1, seconds)
    return int(bool(outcome.faults))


def shrink(case: Case, fails: Callable[[Case], bool], seconds: float = SHRINKING) -> Case:
    """A smaller or simpler case that still fails: greedily, step by step."""
    end = time.perf_counter() + seconds
    going = True
    while going:
        going = False
        for other in _simpler(case):
            if time.perf_counter() > end:
                return case
            if valid(other) and fails(other):
                case, going = other, True
                break
    return case


def _simpler(case: Case) -> Iterator[Case]:
    n, m = case.X.shape
    for count, side in ((m, "samples"), (n, "features")):
        size = count // 2
        while size >= 1:
            for first in range(0, count, size):
                kept = np.delete(np.arange(count), slice(first, first + size))
                if len(kept):
                    yield take(case, **{side: kept})
            size //= 2
    if case.namespace != "numpy":
        yield replace(case, namespace="numpy")
    if case.layout != "C":
        yield replace(case, layout="C")
    for name in case.options:
        if name != "targets":
            yield replace(case, options={key: value for key, value in case.options.items() if key != name})
    for name, values in case.extra.items():
        if name in ("sample_weights", "Ys"):
            yield replace(case, extra={key: value for key, value in case.extra.items() if key != name})
        if name == "l2s":
            for number in range(len(values) if len(values) > 1 else 0):
                fewer = [value for other, value in enumerate(values) if other != number]
                if "Ys" not in case.extra and "sample_weights" not in case.extra:
                    yield replace(case, extra=case.extra | {"l2s": fewer})
    if case.weight is not None:
        yield replace(case, weight=None)
        for digits in (1, 2):
            yield from _if_other(case, weight=_significant(case.weight, digits))
    if not case.soft and case.Y.dtype.kind != "i":
        yield replace(case, Y=np.unique(case.Y, return_inverse=True)[1])
    if case.X.dtype not in (np.float64, np.float32):
        yield replace(case, X=case.X.astype(np.float64))
        yield replace(case, X=case.X.astype(np.float32))
    elif case.X.dtype == np.float32:
        yield replace(case, X=case.X.astype(np.float64))
    for digits in (1, 2, 3):
        yield from _if_other(case, X=_significant(case.X, digits))
    if case.soft:
        Y = np.round(case.Y, 2)
        if Y.shape[0] == 1 or np.allclose(Y.sum(axis=0), 1.0):
            yield from _if_other(case, Y=Y)


def _if_other(case: Case, **changed: np.ndarray) -> Iterator[Case]:
    ((name, values),) = changed.items()
    if not np.array_equal(values, getattr(case, name)):
        yield replace(case, **changed)


def _significant(values: np.ndarray, digits: int) -> np.ndarray:
    rounded = [float(f"{float(value):.{digits - 1}e}") for value in values.reshape(-1)]
    return np.array(rounded).reshape(values.shape).astype(values.dtype)


def snippet(case: Case) -> str:
    """Python that makes the call."""
    if case.X.size > 600:
        return f"# {case.X.shape[0]} x {case.X.shape[1]}: python -m tests.fuzz --replay {case.name}"
    lines = ["import numpy as np", "import xlogreg", "", f"X = {_text(case.X)}"]
    options = dict(case.options)
    if case.layout == "rows":
        lines, options["samples"] = [*lines, "X = np.ascontiguousarray(X.T)"], "rows"
    elif case.layout != "C":
        lines.append(
            {
                "F": "X = np.asfortranarray(X)",
                "strided": "X = np.repeat(X, 2, axis=1)[:, ::2]",
                "readonly": "X.flags.writeable = False",
            }[case.layout]
        )
    if case.namespace != "numpy":
        make = {"torch": "torch.asarray(X)", "jax": "jax.numpy.asarray(X)"}[case.namespace]
        lines += [f"import {make.rpartition('.')[0]}", f"X = {make}"]
    turned = ".T" if case.soft and case.layout == "rows" else ""
    lines.append(f"Y = {_text(case.Y)}{turned}")
    words = [f"{name}={_text(value)}" for name, value in options.items()]
    if case.weight is not None:
        words.append(f"sample_weight{'s' if case.call == 'fit_many' else ''}={_text(case.weight)}")
    extra, Y = dict(case.extra), "Y"
    if case.call in ("fit_path", "fit_cv"):
        Y = f"Y, {extra.pop('l2s')}"
    elif case.call == "bootstrap":
        Y = f"Y, {extra.pop('replicates')}"
    elif case.call == "fit_many":
        Y = _text(extra.pop("Ys", None) or [case.Y])
    words += [f"{name}={_text(value)}" for name, value in extra.items()]
    if case.call == "estimator":
        lines.append(f"l2, weight = {options.get('l2', 0.0)}, {'None' if case.weight is None else _text(case.weight)}")
        lines.append(f"C = 1 / (l2 * {'len(X)' if case.weight is None else 'weight.sum()'}) if l2 else np.inf")
        lines.append(f"result = xlogreg.LogisticRegression(C=C, fit_intercept={options.get('bias', True)})")
        lines.append("result.fit(X, Y, weight)")
        return "\n".join(lines)
    lines.append(f"result = xlogreg.{case.call}({', '.join(['X', Y, *words])})")
    return "\n".join(lines)


def _text(value) -> str:
    if isinstance(value, np.ndarray):
        dtype = value.dtype.str
        plain = dtype in ("<f8", "<i8", "|b1") or value.dtype.kind == "U"
        return f"np.array({value.tolist()!r}{'' if plain else f', dtype={dtype!r}'})"
    if isinstance(value, (list, tuple)):
        inner = ", ".join(map(_text, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    return repr(value)


if __name__ == "__main__":
    sys.exit(main())
