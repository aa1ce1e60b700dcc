"""Two competitors on one problem, alternately in one process: the ratio of their times from rows, with its range.

Run by `python -m benchmarks.run --duel A B --problem P`. Each takes the first of its settings that comes within 1e-6 of
the lower cost, or its last.
"""

import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from benchmarks.clock import Timing, timed
from benchmarks.competitors import COMPETITORS
from benchmarks.contest import Competitor
from benchmarks.judge import judge
from benchmarks.problems import Problem, read

GAP = 1e-6
ROUNDS, SECONDS = (5, 50), 10.0  # at least and at most; after so long no more than the least
PAUSE = 0.1  # before each fit: the threads of the other one's BLAS spin for a while


def fitted(competitor: Competitor, problem: Problem) -> list[tuple[dict[str, Any], float]]:
    """Each setting with its cost."""
    found = []
    for setting in competitor.settings:
        answer = competitor.fit(competitor.prepare(problem), **setting)
        found.append((setting, judge(problem.X, problem.y, answer.w, answer.b, problem.l2).cost))
    return found


def duel(pair: list[Competitor], problem: Problem) -> list[str]:
    """What to print."""
    tried = [fitted(competitor, problem) for competitor in pair]
    lowest = min(cost for settings in tried for *_, cost in settings)
    picked = [next((s for s in settings if s[1] - lowest <= GAP * lowest), settings[-1]) for settings in tried]
    rounds: list[list[float]] = []
    began = time.perf_counter()
    while len(rounds) < ROUNDS[0] or (len(rounds) < ROUNDS[1] and time.perf_counter() - began < SECONDS):
        rounds.append([])
        for competitor, (setting, _) in zip(pair, picked, strict=True):
            time.sleep(PAUSE)
            rounds[-1].append(timed(lambda c=competitor, s=setting: c.fit(c.prepare(problem), **s), competitor.wait)[0])
    lines = []
    for number, (competitor, (setting, cost)) in enumerate(zip(pair, picked, strict=True)):
        seconds = Timing.of([times[number] for times in rounds])
        gap = (cost - lowest) / lowest
        lines.append(f"{competitor.name} {setting or 'at its defaults'}: {shown(seconds)} s, gap {gap:.1e}")
    ratio = Timing.of([times[1] / times[0] for times in rounds])
    return [*lines, f"{pair[1].name} / {pair[0].name}: {shown(ratio)}, {ratio.count} rounds"]


def shown(timing: Timing) -> str:
    return f"{timing.median:.4g} ({timing.lowest:.4g} to {timing.highest:.4g})"


def main(folder: str, *names: str) -> None:
    warnings.simplefilter("ignore")
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes elsewhere
    for line in duel([COMPETITORS[name] for name in names], read(Path(folder))):
        print(json.dumps({"text": line}), file=lines, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
