"""Sphinx extension: draw the picture of speed on the first page from the results in benchmarks/results.

Its two halves, for light and dark pages, are written to docs/generated/ before the pages are read.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from benchmarks.gpu_bench import SHAPES
from benchmarks.league import read_records
from benchmarks.standings import OURS, standings

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
GAP = 1e-6  # of the cost: how near to the minimum a fit has to come
NAMED = {  # problem -> its name in the picture, and where the name begins, in points from the dot
    "500 x 10": ("500 × 10", (6, -10)),
    "square": ("2,000 × 2,000", (6, -10)),
    "cuML 244k x 1024": ("244,000 × 1,024", (6, -10)),
    "cuML 5000k x 128": ("5,000,000 × 128", (-72, 6)),
    "pictures": ("209 pictures", (-56, 5)),
    "embeddings": ("embeddings, 10 classes", (-102, 6)),
}
THEMES = {
    "light": {"text": "#1f2328", "grid": "#d5d9de", "ours": "#b2182b", "theirs": "#2166ac", "third": "#57606a"},
    "dark": {"text": "#e6e6e6", "grid": "#4a4f57", "ours": "#ff8170", "theirs": "#7fb5f0", "third": "#b0b6bf"},
}


def contest() -> tuple[dict[str, tuple[float, float]], list[str]]:
    """Our seconds and those of scikit-learn's fastest solver, by problem, and the problems that only we solve."""
    pairs, missed = {}, []
    for standing in standings(read_records(RESULTS / "league.jsonl")):
        if standing.threads != 2 or "family" in standing.traits["tags"]:
            continue
        names = [name for name in standing.rivals() if standing.records[name]["library"] == "scikit-learn"]
        theirs = [seconds[0] for name in names if (seconds := standing.seconds(name, GAP))]
        ours = standing.seconds(OURS, GAP)
        if theirs and ours:
            pairs[standing.problem] = ours[0], min(theirs)
        elif ours:
            missed.append(standing.problem)
    return pairs, missed


def on_gpu() -> dict[str, tuple[list[float], str, str]]:
    """Seconds for each shape, colour and style of a line, by its label."""
    bench = json.loads((RESULTS / "gpu-2026-11-29.json").read_text())
    beside = json.loads((RESULTS / "gpu-libraries-2026-11-29.json").read_text())["fits"]
    fits, page = bench["fits"], bench["published"]["seconds"]

    def seconds(found: dict[str, Any], library: str, where: str) -> list[float]:
        return [found[shape][library][where]["seconds"] for shape in SHAPES]

    return {
        "xlogreg, 16 cores": (seconds(beside, "numpy", "resident"), "ours", ":s"),
        "xlogreg, X on the host": (seconds(fits, "cupy", "host"), "ours", "--o"),
        "xlogreg, X on the GPU": (seconds(fits, "cupy", "resident"), "ours", "-o"),
        "scikit-learn, X on the GPU": (seconds(fits, "scikit-learn on cupy", "resident"), "theirs", "-^"),
        "cuML's own figures, X on the host,\nanother GPU (RTX PRO 6000)": ([page[s] for s in SHAPES], "third", "--x"),
    }


def draw_cpu(ax: Any, colours: dict[str, str]) -> None:
    """Draw a point for each problem of the league: below the line xlogreg is slower."""
    pairs, _ = contest()
    low, high = 4e-4, 15.0
    ax.loglog([low, high], [low, high], color=colours["text"], linewidth=1)
    ax.text(5.6, 3.1, "equally fast", color=colours["text"], fontsize=8, rotation=45, ha="center", va="center")
    for times in (10, 100):
        ax.loglog([low, high / times], [low * times, high], color=colours["grid"], linewidth=1, linestyle="--")
        ax.text(low * 1.25, low * times * 1.6, f"{times} times", color=colours["third"], fontsize=8, rotation=45)
    for problem, (ours, theirs) in pairs.items():
        faster = ours < theirs
        ax.plot(ours, theirs, "o" if faster else "s", color=colours["ours" if faster else "theirs"], markersize=5)
        if problem in NAMED:
            name, place = NAMED[problem]
            ax.annotate(name, (ours, theirs), place, textcoords="offset points", fontsize=8)
    wins = sum(ours < theirs for ours, theirs in pairs.values())
    ax.set_title(f"2 cores: xlogreg is faster on {wins} of {len(pairs)} problems", fontsize=10)
    ax.set_xlabel("seconds of xlogreg")
    ax.set_ylabel("seconds of scikit-learn's fastest solver")
    ax.set_xlim(low, high)
    ax.set_ylim(low, high)
    ax.set_aspect("equal")


def draw_gpu(ax: Any, colours: dict[str, str]) -> None:
    """Draw the seconds of each shape of cuML's page: a line for each library, and where X lies."""
    for label, (seconds, colour, style) in on_gpu().items():
        ax.semilogy(seconds, style, color=colours[colour], label=label, markersize=5, linewidth=1.2)
    shapes = [shape.split("x") for shape in SHAPES]
    ax.set_xticks(range(len(shapes)), [f"{int(m):,}\n× {int(n_x):,}" for m, n_x in shapes], fontsize=8)
    ax.set_title("One NVIDIA H200, float32", fontsize=10)
    ax.set_xlabel("samples × features")
    ax.set_ylabel("seconds of a fit")
    ax.set_ylim(4e-3, 30)
    ax.legend(loc="upper left", fontsize=8, frameon=False, labelcolor=colours["text"])


def draw(path: Path, part: Callable[[Any, dict[str, str]], None], colours: dict[str, str]) -> None:
    """Write one half of the picture, with lines and words in these colours on a clear ground."""
    words = ("axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color", "text.color")
    settings = dict.fromkeys(words, colours["text"]) | {"axes.edgecolor": colours["third"]}
    # a salt makes the same file of the same results
    with rc_context(settings | {"grid.color": colours["grid"], "svg.hashsalt": "xlogreg"}):
        figure = Figure(figsize=(5.2, 4.8), layout="constrained")
        ax = figure.subplots()
        ax.grid(linewidth=0.5)
        ax.set_axisbelow(True)
        part(ax, colours)
        figure.savefig(path, transparent=True, metadata={"Date": None})


def draw_all(app: Any) -> None:
    folder = Path(app.srcdir) / "generated"
    folder.mkdir(exist_ok=True)
    for theme, colours in THEMES.items():
        draw(folder / f"speed-cpu-{theme}.svg", draw_cpu, colours)
        draw(folder / f"speed-gpu-{theme}.svg", draw_gpu, colours)


def setup(app: Any) -> dict[str, bool]:
    app.connect("builder-inited", draw_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
