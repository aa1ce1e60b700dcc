"""One competitor on one problem, in a process of its own: prints a JSON line before each fit and for each setting.

Run by `benchmarks.run`, which kills it when no line comes for as long as a fit may take. Memory, the first call and
crashes are this process's alone.
"""

import argparse
import json
import math
import os
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.clock import ENOUGH, Limits, Timing, peak_memory, repeat, timed
from benchmarks.competitors import COMPETITORS
from benchmarks.contest import Answer, Competitor
from benchmarks.judge import judge
from benchmarks.problems import Problem, read

Say = Callable[[dict[str, Any]], None]
GAP = 1e-10  # of the cost: nearer the minimum nothing is asked


def measure(competitor: Competitor, problem: Problem, target: float, limits: Limits, say: Say) -> None:
    """The first call, then setting after setting: seconds, parameters judged; until near enough or out of time.

    Each of these takes X (m, n_x) in C order, as it comes. Data that lie ready are the last that is timed.

    ``target`` is the lowest cost that another library has found; ``limits.budget`` the seconds of all fits together.
    """
    before, wait, budget, longest = peak_memory(), competitor.wait, limits.budget, limits.cap / 3
    say({"begin": competitor.settings[0]})

    def rows(**setting: Any) -> Answer:
        return competitor.fit(competitor.prepare(problem), **setting)

    first, answer = timed(lambda: rows(**competitor.settings[0]), wait)
    say({"first call": first, "MB": peak_memory() - before})
    spent, near, enough = 0.0, False, min(ENOUGH, budget / 6)
    for setting, looser in [*((s, False) for s in competitor.settings), *((s, True) for s in competitor.looser)]:
        if near and not looser:
            continue
        seconds = []
        if setting is competitor.settings[0] and first > longest:
            seconds.append(first)  # no time for another
        elif spent >= budget:
            break
        else:
            say({"begin": setting})
            for took, found in repeat(partial(rows, **setting), wait, budget - spent, enough):
                seconds.append(took)
                say({"took": took})
                answer = found
        spent += sum(seconds)
        verdict = judge(problem.X, problem.y, answer.w, answer.b, problem.l2)
        proved = {key: number if math.isfinite(number) else None for key, number in verdict._asdict().items()}
        numbers = {**proved, "iterations": answer.iterations, "passes": answer.passes}
        say({"setting": setting, "looser": looser, "seconds": Timing.of(seconds), **numbers})
        near = near or min(abs(verdict.cost - target), verdict.bound) <= GAP * abs(verdict.cost)
        if spent + seconds[-1] > budget:
            break
    if first <= longest:
        say({"begin": competitor.settings[0]})
        ready = partial(competitor.fit, competitor.prepare(problem), **competitor.settings[0])
        say({"resident": Timing.of([took for took, _ in repeat(ready, wait, budget / 4, enough / 2)])})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("competitor", help="its name")
    parser.add_argument("folder", type=Path, help="of the problem")
    parser.add_argument("--cap", type=float, required=True)
    parser.add_argument("--budget", type=float, required=True)
    parser.add_argument("--target", type=float, default=math.inf)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # what stops early is judged by its gap
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes elsewhere

    def say(line: dict[str, Any]) -> None:
        print(json.dumps(line, default=float), file=lines, flush=True)

    problem, competitor = read(arguments.folder), COMPETITORS[arguments.competitor]
    for module in competitor.modules:  # their import is not the first call
        __import__(module)
    say({"ready": peak_memory()})
    measure(competitor, problem, arguments.target, Limits(arguments.cap, arguments.budget), say)


if __name__ == "__main__":
    main()
