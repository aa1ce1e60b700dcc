"""Tables of the league and of all bars, between the markers of benchmarks/README.md and README.md; its pictures.

Run: python -m benchmarks.report [--results FILE] [--readme FILE ...]
"""

import argparse
import importlib
import json
import math
import re
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.bars import Bar, check
from benchmarks.drawing import draw
from benchmarks.league import ROOT, read_records, read_runs
from benchmarks.standings import GAPS, LIBRARY, OURS, Standing, standings

HERE = Path(__file__).parent
RESULTS = HERE / "results"
BENCHMARKS = (  # that have bars
    "engine",
    "many",
    "estimators",
    "rule",
    "sparse",
    "categories",
    "selection",
    "load",
    "any_data",
    "memory",
    "vectorization",
    "distributed",
    "streaming",
    "bus",
)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def number(value: float | None, digits: int = 2) -> str:
    """As short as it may be."""
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.{digits}g}"


def seconds_text(found: Sequence[float] | None) -> str:
    """Median (lowest to highest), in ms or s."""
    if found is None:
        return "-"
    factor, unit = (1e3, "ms") if found[0] < 1 else (1.0, "s")
    middle, low, high = (f"{factor * value:.3g}" for value in found[:3])
    return f"{middle} ({low} to {high}) {unit}"


def shape(standing: Standing) -> str:
    t = standing.traits
    classes = f", K = {t['K']}" if t["K"] > 2 else ""
    return f"{t['m']:,} x {t['n_x']:,} {t['dtype'].replace('float', 'f')}{classes}"


def bandwidths(runs: list[dict[str, Any]]) -> dict[str, float]:
    """GB/s of so many threads: the fastest that any run saw."""
    found: dict[str, float] = {}
    for run in runs:
        for threads, rate in sorted(run["bandwidth"].items()):
            found[threads] = max(found.get(threads, 0.0), rate or 0.0)
    return {threads: rate for threads, rate in found.items() if rate}


def facts(runs: list[dict[str, Any]]) -> str:
    """What the newest run ran on."""
    run = runs[-1]
    found = bandwidths(runs)
    rates = ", ".join(f"{rate:.1f} on {threads}" for threads, rate in found.items())
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    missing = "; ".join(f"{name}: {reason}" for name, reason in run["missing"].items()) or "none"
    budgets = " or ".join(f"{budget:g}" for budget in sorted({run["limits"]["budget"] for run in runs}))
    gpus = f" GPU: {', '.join(run['gpus'])}." if run["gpus"] else ""
    return (
        f"{run['run'][:10]}, {run['processor']}, {run['machine']}, Python {run['python']}.{gpus} Threads pinned to "
        f"{' and '.join(found)}; memory is read with GB/s: {rates}. A fit is stopped after "
        f"{run['limits']['cap']:g} s, no fit begins after {budgets} s of a pair. "
        f"TF32 {run['TF32']}.\n\n"
        f"Versions: {versions}.\n\nMissing: {missing}."
    )


def cell(standing: Standing, name: str, gap: float) -> str:
    """The ratio; or how near it came, and how it ended."""
    record = standing.records.get(name)
    if record is None or "refuses" in record:
        return ""
    ratio = standing.ratio(name, gap)
    if ratio is not None:
        return number(ratio) if ratio >= 1 else f"**{number(ratio)}**" if ratio else "**ours misses**"
    nearest = standing.nearest(name)
    return f"gap {nearest:.0e}" if math.isfinite(nearest) else record.get("end", "").partition(":")[0] or "no answer"


def ratios(found: list[Standing], gap: float = 1e-6) -> str:
    """Problem x competitor."""
    names = list(dict.fromkeys(n for s in found for n in s.records if not s.records[n]["referee"] and n != OURS))
    names = [name for name in names if any(cell(standing, name, gap) for standing in found)]
    names.sort(key=lambda name: name.startswith(LIBRARY))
    rows = [[f"{s.problem}, {shape(s)}", *(cell(s, name, gap) for name in names)] for s in found]
    return table(["seconds / ours", *names], rows)


def times(found: list[Standing], rates: dict[str, float]) -> str:
    """Ours, and the best rival to each gap."""
    rows = []
    for s in found:
        if not s.points(OURS):
            rows.append([s.problem, s.records[OURS].get("end") or s.records[OURS].get("refuses", ""), *[""] * 7])
            continue
        point, t = s.points(OURS)[0], s.traits
        size = t["m"] * t["n_x"] * (8 if t["dtype"] == "float64" else 4)
        rate = rates.get(str(s.threads)) or math.inf
        share = point["passes"] * size / point["seconds"][0] / 1e9 / rate
        best = []
        for gap in GAPS:
            name = s.best_rival(gap)
            ours = "" if s.seconds(OURS, gap) else f"ours misses, gap {s.nearest(OURS):.0e}; "
            best.append(f"{ours}{name}: {number(s.ratio(name, gap))}" if name else f"{ours}nobody else")
        own = [seconds_text(point["seconds"]), f"{s.gap(point):.0e}", number(point["passes"], 3), f"{share:.2f}"]
        rows.append([s.problem, *own, *best, str(s.minimum)])
    head = ["problem", "ours", "gap", "passes", "share of bandwidth", *(f"best rival to {gap:g}" for gap in GAPS)]
    return table([*head, "minimum confirmed by"], rows)


def clocks(found: list[Standing]) -> str:
    """Rows as they come, data resident, first call; memory."""
    rows = []
    for s in found:
        for name in (OURS, s.best_rival(1e-6)):
            record = s.records.get(name or "", {})
            if not (record.get("points") and "first call" in record):
                continue
            clocks = record["points"][0]["seconds"], record.get("resident")
            first, memory = f"{record['first call']:.3g} s", f"{record['MB']:.0f}"
            rows.append([s.problem, str(name), *map(seconds_text, clocks), first, memory])
    return table(
        ["problem", "at its defaults", "rows as they come", "data resident", "first call", "MB above the data"], rows
    )


def libraries(found: list[Standing], gap: float = 1e-6) -> str:
    """The best of each library's solvers on each problem, the worst for us first."""
    rows = []
    for library in dict.fromkeys(s.records[name]["library"] for s in found for name in s.rivals()):
        entered, best = 0, {}
        for s in found:
            names = [name for name in s.rivals() if s.records[name]["library"] == library]
            reached = [ratio for name in names if (ratio := s.ratio(name, gap)) is not None]
            entered += bool(names)
            best |= {s.problem: min(reached)} if reached else {}
        worst = min(best, key=best.__getitem__, default=None)
        texts = ["-", "-"]
        if worst is not None:
            texts = [f"{number(best[worst])} ({worst})", number(statistics.median(best.values()))]
        rows.append((best.get(worst, math.inf), [library, f"{len(best)} of {entered}", *texts]))
    rows.sort(key=lambda row: row[0])
    head = ["library, best of its solvers", "problems reached", "its seconds / ours, worst for us", "median"]
    return table(head, [row for _, row in rows])


def newest(name: str) -> dict[str, Any]:
    files = sorted(RESULTS.glob(f"{name}-*.json"))
    return json.loads(files[-1].read_text()) | {"file": files[-1].name} if files else {}


def bars() -> str:
    """Every bar of every benchmark, the missed ones first."""
    rows = []
    for name in BENCHMARKS:
        if not (HERE / f"{name}.py").exists():
            continue
        aims: list[Bar] = getattr(importlib.import_module(f"benchmarks.{name}"), "BARS", [])
        results = newest(name)
        for line in check(aims, results):
            words = {True: "met", False: "**not met**", None: "not measured"}[line.met]
            limit = f"{line.wanted} {number(line.limit)}"
            where = f"{name}: {line.name}"
            rows.append(([False, None, True].index(line.met), [where, limit, number(line.measured, 3), words]))
    rows.sort(key=lambda row: row[0])
    met = sum(order == 2 for order, _ in rows)
    head = ["bar", "wanted", "measured", ""]
    return f"{met} of {len(rows)} bars are met.\n\n{table(head, [row for _, row in rows])}"


def replace(path: Path, sections: dict[str, str]) -> None:
    """Write each section between its markers, <!-- name --> and <!-- /name -->, if the file has them."""
    text = path.read_text()
    for name, section in sections.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = pattern.sub(lambda found, section=section: f"{found[1]}\n{section}\n\n{found[2]}", text)
    path.write_text(text)


def sections_of(path: Path) -> dict[str, str]:
    """All that is written, by the name of its markers."""
    records, runs = read_records(path), read_runs(path)
    found = standings(records)
    everywhere = max((s.threads for s in found), default=1)
    main = [s for s in found if s.threads == everywhere]
    league = [s for s in main if "family" not in s.traits["tags"]]
    alone = [s for s in found if s.threads < everywhere]
    lost = [s for s in league if s.worst(1e-6) < 1]
    words = [f"{s.problem} ({number(s.worst(1e-6))}, {s.best_rival(1e-6)})" for s in lost]
    rates = bandwidths(runs)
    return {
        "facts": facts(runs),
        "lost": "We lose on: " + ", ".join(words) + "." if words else "No problem on which a rival is faster to 1e-6.",
        "ratios": ratios(league),
        "times": times(league, rates),
        "clocks": clocks(league),
        "one core": ratios(alone) if alone else "Not run.",
        "families": ratios([s for s in main if "family" in s.traits["tags"]]),
        "league": f"{len(league)} problems, {runs[-1]['run'][:10]}, {runs[-1]['machine']}:\n\n{libraries(league)}",
        "bars": bars(),
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--results", type=Path, help="benchmarks/results/league.jsonl, or -quick where there is none")
    parser.add_argument("--readme", type=Path, nargs="+", default=[HERE / "README.md", ROOT / "README.md"])
    parser.add_argument("--pictures", type=Path, default=HERE / "pictures")
    options = parser.parse_args(arguments)
    files = [options.results] if options.results else [RESULTS / "league.jsonl", RESULTS / "league-quick.jsonl"]
    path = next((file for file in files if file.exists()), None)
    if path is None:
        raise SystemExit(f"there are no results in {', '.join(map(str, files))}: python -m benchmarks.run --quick")
    sections = sections_of(path)
    for readme in options.readme:
        replace(readme, sections)
    for picture in draw(standings(read_records(path)), options.pictures):
        print(picture)
    print(sections["lost"])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
