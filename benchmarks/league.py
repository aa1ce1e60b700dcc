"""The league: every pair of competitor and problem in a process of its own, its results appended as a JSON line."""

import dataclasses
import json
import math
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.clock import Limits, cores, environment, machine, pinned
from benchmarks.contest import Competitor
from benchmarks.problems import Problem, Recipe, make, write

__all__ = ["League", "ask", "contest", "prepare", "read_records", "read_runs"]

ROOT = Path(__file__).parent.parent
PACKAGES = ("xlogreg", "numpy", "scipy", "scikit-learn", "scikit-learn-intelex", "glum", "statsmodels", "snapml")
PACKAGES += ("dask-glm", "dask", "torch", "jax", "cupy-cuda12x", "cupy-cuda13x", "cuml-cu12", "cuml-cu13")
Record = dict[str, Any]


def ask(command: list[str], threads: int, cap: float, variables: Mapping[str, str] | None = None) -> Iterator[Record]:
    """What a module says, line by line; the last line says how it ended. Killed after ``cap`` seconds of silence."""
    late = threading.Event()
    variables = environment(threads) | dict(variables or {})
    with tempfile.TemporaryFile("w+") as errors:
        pipes = {"stdout": subprocess.PIPE, "stderr": errors, "text": True}
        with pinned(threads):
            process = subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=variables, **pipes)

        def kill() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(cap, kill)
        timer.start()
        try:
            for line in process.stdout:
                timer.cancel()
                yield json.loads(line)
                timer = threading.Timer(cap, kill)
                timer.start()
            code = process.wait()
        finally:
            timer.cancel()
            process.kill()
            process.communicate()
        errors.seek(0)
        said = errors.read().strip().splitlines() or [f"exit code {code}"]
    yield {"end": f"killed after {cap:g} s" if late.is_set() else "" if code == 0 else f"failed: {said[-1][:200]}"}


def contest(competitor: Competitor, folder: Path, threads: int, limits: Limits, target: float) -> Record:
    """A competitor on a problem: its points, one for each setting, and how it ended."""
    numbers = {"--cap": limits.cap, "--budget": limits.budget, "--target": target}
    arguments = [text for name, number in numbers.items() for text in (name, str(number))]
    record: Record = {"points": []}
    command = ["benchmarks.worker", competitor.name, str(folder), *arguments]
    for line in ask(command, threads, limits.cap, competitor.environment):
        if "setting" in line:
            record["points"].append(line)
        else:
            record |= {key: line[key] for key in ("begin", "first call", "MB", "resident", "end") if key in line}
    return record


def read_records(path: Path) -> list[Record]:
    """Of pairs, the newest of each."""
    return list({key(line): line for line in lines_of(path) if "problem" in line}.values())


def read_runs(path: Path) -> list[Record]:
    """What was run on what: a line at the beginning of each run."""
    return [line for line in lines_of(path) if "problem" not in line]


def lines_of(path: Path) -> list[Record]:
    """All but one that an interruption cut off."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def key(record: Record) -> tuple[str, str, int]:
    return record["problem"], record["competitor"], record["threads"]


def lowest(records: Iterable[Record], problem: str, besides: str) -> float:
    """The lowest cost that libraries besides one have found."""
    found = [p["cost"] for r in records if r["problem"] == problem and r["library"] != besides for p in r["points"]]
    return min((cost for cost in found if cost is not None), default=math.inf)


def prepare(name: str, recipes: Mapping[str, Recipe], folder: Path) -> Problem | None:
    """The problem, written to the folder; None where a library that its data come with is missing."""
    try:
        problem = make(name, recipes)
    except ImportError as error:
        print(f"missing: the data of {name}: {error}")
        return None
    write(problem, folder)
    return dataclasses.replace(problem, X=np.load(folder / "X.npy", mmap_mode="r"))  # the workers want the memory


class League(NamedTuple):
    """What runs: problems by threads, competitors, limits, and the file for the results."""

    problems: list[tuple[str, int]]
    competitors: list[Competitor]
    limits: Limits
    path: Path
    again: bool = False

    def run(self, recipes: Mapping[str, Recipe]) -> None:
        """All pairs that have no results yet."""
        records = {} if self.again else {key(record): record for record in read_records(self.path)}
        missing = {c.name: reason.partition(". Remedy")[0] for c in self.competitors if (reason := c.missing())}
        for name, reason in missing.items():
            print(f"missing: {name}: {reason}")
        here = [c for c in self.competitors if c.name not in missing]
        todo = {(p, t): [c for c in here if (p, c.name, t) not in records] for p, t in self.problems}
        count, done, began = sum(map(len, todo.values())), 0, time.perf_counter()
        minutes = count * (1.5 + 0.6 * self.limits.budget) / 60  # as measured, those that refuse included
        print(f"{count} pairs to run, some {minutes:.0f} minutes; {len(records)} have results")
        if not count:
            return
        run = time.strftime("%Y-%m-%dT%H:%M:%S")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as place, self.path.open("a") as file:
            folder = Path(place)
            head = describe(run, sorted({t for _, t in self.problems}), self.limits, missing)
            print(json.dumps(head), file=file, flush=True)
            for (name, threads), pending in todo.items():
                problem = prepare(name, recipes, folder) if pending else None
                for competitor in pending if problem else []:
                    target = lowest(records.values(), name, competitor.package)
                    record = {"run": run, **self.pair(competitor, problem, folder, threads, target)}
                    records[key(record)] = record
                    print(json.dumps(record), file=file, flush=True)
                    done += 1
                    if "refuses" not in record:
                        left = (time.perf_counter() - began) / done * (count - done) / 60
                        print(f"{line_of(record)}   [{done}/{count}, some {left:.0f} min left]", flush=True)

    def pair(self, competitor: Competitor, problem: Problem, folder: Path, threads: int, target: float) -> Record:
        """One pair, or why it does not run."""
        names = ("m", "n_x", "K", "dtype", "l2", "about", "seed", "tags")
        head: Record = {"problem": problem.name, "competitor": competitor.name, "library": competitor.package}
        head |= {"threads": threads, "referee": competitor.referee, "points": []}
        reason = competitor.refuses(problem, alone=threads < cores())
        if reason:
            return head | {"refuses": reason}
        traits = {name: getattr(problem, name) for name in names}
        return head | traits | contest(competitor, folder, threads, self.limits, target)


def describe(run: str, threads: list[int], limits: Limits, missing: dict[str, str]) -> Record:
    """The line of a run: where, when, with which versions; GB/s for each number of threads."""
    speeds = {}
    for count in threads:
        speeds[str(count)] = next(ask(["benchmarks.clock"], count, 60.0)).get("GB/s")
    print(f"threads, pinned, and GB/s of memory: {speeds}")
    about = {"run": run, **machine(), "versions": versions(), "bandwidth": speeds, "TF32": "off"}
    return about | {"limits": limits._asdict(), "missing": missing}


def versions() -> dict[str, str]:
    """Of the distributions that are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def line_of(record: Record) -> str:
    """A pair in a line."""
    shown = [f"{p['seconds'][0]:.3g} s at {p['cost'] or math.nan:.12g}" for p in record["points"]]
    ways = ", ".join(filter(None, [*shown, record.get("end", "")]))
    return f"{record['problem']:16} {record['competitor']:28} {record['threads']}  {ways}"
