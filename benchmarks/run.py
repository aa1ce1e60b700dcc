"""The league of logistic regression: every competitor on every problem, judged by one judge.

Run: python -m benchmarks.run [--quick], then python -m benchmarks.report

Each pair runs in a process of its own, on as many threads as there are cores, and is killed when one fit takes longer
than the cap; some problems run on one core as well. Results are appended line by line: a run that was interrupted goes
on where it stopped. `--parts` runs the benchmarks of the other parts of the library, `--duel A B --problem P` two
competitors alternately in one process, `--data` a problem of yours. benchmarks/README.md has the rules.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from benchmarks.clock import Limits, cores, environment
from benchmarks.competitors import COMPETITORS
from benchmarks.league import ROOT, League, ask, prepare
from benchmarks.loaders import LOADERS, load
from benchmarks.problems import RECIPES, Recipe

RESULTS = Path(__file__).parent / "results"
NAMES = (
    "engine",
    "many",
    "sparse",
    "categories",
    "selection",
    "inference",
    "estimators",
    "rule",
    "load",
    "any_data",
    "memory",
    "predict",
    "gradient_descent",
    "vectorization",
    "distributed",
    "streaming",
    "bus",
)
PARTS = tuple(name for name in NAMES if (RESULTS.parent / f"{name}.py").exists())
QUICK = Limits(cap=15.0, budget=0.5)


def run_parts(names: Iterable[str]) -> int:
    """The benchmarks of other parts of the library, each writing its results; how many failed."""
    failed = 0
    for name in names:
        print(f"--- {name}", flush=True)
        path = RESULTS / f"{name}-{time.strftime('%Y-%m-%d')}.json"
        command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(path)]
        failed += subprocess.run(command, cwd=ROOT, env=environment(cores()), check=False).returncode != 0
    return failed


def run_duel(names: list[str], problem: str, recipes: dict[str, Recipe], threads: int, limits: Limits) -> int:
    """Two competitors, alternately, in one process."""
    variables = {key: value for name in names for key, value in COMPETITORS[name].environment.items()}
    with tempfile.TemporaryDirectory() as folder:
        if prepare(problem, recipes, Path(folder)) is None:
            return 1
        for line in ask(["benchmarks.duel", folder, *names], threads, 4 * limits.cap, variables):
            print(line.get("text") or line.get("end", ""), flush=True)
    return 1 if line["end"] else 0


def chosen(texts: list[str], table: Iterable[str], what: str) -> list[str]:
    """The names that contain one of the texts; that one alone where it is a name itself."""
    names = list(table)
    found = [name for name in names if any(name == text if text in names else text in name for text in texts)]
    if not found:
        raise SystemExit(f"no {what} is named like {', '.join(texts)}; there are: {', '.join(names)}")
    return found


def belongs(recipe: Recipe, quick: bool) -> bool:
    """Whether a problem is run unless others are named."""
    return "quick" in recipe.tags if quick else "quick only" not in recipe.tags


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--quick", action="store_true", help="four small problems, under three minutes")
    add("--problem", nargs="+", metavar="NAME", help="problems whose names contain it")
    add("--competitor", nargs="+", default=[""], metavar="NAME", help="competitors whose names contain it")
    add("--threads", type=int, help="so many only; else all cores, and one on some problems")
    add("--cap", type=float, help=f"seconds that one fit may take: {Limits().cap:g}, quick {QUICK.cap:g}")
    add("--budget", type=float, help=f"seconds of a pair's fits: {Limits().budget:g}, quick {QUICK.budget:g}")
    add("--again", action="store_true", help="run pairs that have results, too")
    add("--results", type=Path, help="the file: benchmarks/results/league.jsonl, quick league-quick.jsonl")
    add("--data", nargs=2, metavar="FILE", help=f"X.npy Y.npy, or one of {', '.join(LOADERS)} and its file")
    add("--l2", type=float, default=1.0, help="of --data, in units of 1/m")
    add("--duel", nargs=2, metavar=("A", "B"), help="two competitors, alternately, on --problem")
    add("--parts", nargs="*", choices=PARTS, metavar="NAME", help=f"other benchmarks: {', '.join(PARTS)}")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = options_of(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the worker ends, too
    if options.parts is not None:
        return run_parts(options.parts or PARTS)
    recipes = dict(RECIPES)
    if options.data:
        recipes = {"data": Recipe(partial(load, *options.data), options.l2, " ".join(options.data))}
    listed = [name for name, recipe in recipes.items() if belongs(recipe, options.quick)]
    problems = chosen(options.problem, recipes, "problem") if options.problem else listed
    limits = QUICK if options.quick else Limits()
    limits = Limits(options.cap or limits.cap, limits.budget if options.budget is None else options.budget)
    if options.duel:
        names = [chosen([text], COMPETITORS, "competitor")[0] for text in options.duel]
        return run_duel(names, problems[0], recipes, options.threads or cores(), limits)
    competitors = [COMPETITORS[name] for name in chosen(options.competitor, COMPETITORS, "competitor")]
    pairs = [(name, options.threads or cores()) for name in problems]
    if not (options.threads or options.quick):
        pairs += [(name, 1) for name in problems if "one core" in recipes[name].tags and cores() > 1]
    default = RESULTS / ("league-quick.jsonl" if options.quick else "league.jsonl")
    League(pairs, competitors, limits, options.results or default, options.again).run(recipes)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
