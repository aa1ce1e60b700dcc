"""The pictures of the league: gap over seconds and passes, ratios, and cost against what grows."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.standings import OURS, Standing

__all__ = ["draw"]

DPI = 80
FLOOR = 1e-13  # of the cost: below that costs in float64 say nothing
CURVES = ("tall", "square", "raw units", "10 classes", "embeddings", "pictures", "breast cancer", "iris", "small")
PANELS = 6
COLORS = ("#7f7f7f", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#e377c2", "#17becf", "#bcbd22", "#aec7e8")


def figure_of(rows: int, columns: int, width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def style(names: list[str]) -> dict[str, dict[str, Any]]:
    """Ours red; ten colours, and a marker that changes when they begin anew."""
    found = {}
    for number, name in enumerate(name for name in names if name != OURS):
        found[name] = {"color": COLORS[number % 10], "marker": "os^"[number // 10 % 3], "markersize": 4, "linewidth": 1}
    return found | {OURS: {"color": "#d62728", "marker": "*", "markersize": 9, "linewidth": 2}}


def answered(found: list[Standing]) -> list[str]:
    """The competitors that are drawn."""
    answers = ((name, record) for standing in found for name, record in standing.records.items())
    return list(dict.fromkeys(name for name, record in answers if record["points"] and not record["referee"]))


def curves(found: list[Standing], across: Callable[[dict[str, Any]], float | None], label: str) -> Any:
    """Gap against seconds or passes, a panel for each of some problems."""
    named = {standing.problem: standing for standing in found}
    shown = [named[name] for name in CURVES if name in named][:PANELS] or found[:PANELS]
    columns = min(3, len(shown))
    figure, axes = figure_of(-(-len(shown) // columns), columns, 4.2 * columns, 3.4 * -(-len(shown) // columns))
    looks = style(answered(shown))
    handles = {}
    for axis, standing in zip(axes.flat, shown, strict=False):
        for name, record in standing.records.items():
            points = [(across(p), max(standing.gap(p), FLOOR)) for p in record["points"] if not record["referee"]]
            points = sorted((x, gap) for x, gap in points if x and gap < 1e3)
            if points:
                handles[name] = axis.loglog(*zip(*points, strict=True), label=name, **looks[name])[0]
        axis.set_title(standing.problem, fontsize=10)
        axis.grid(alpha=0.3)
        axis.set_xlabel(label, fontsize=8)
        axis.tick_params(labelsize=7)
    for axis in list(axes.flat)[len(shown) :]:
        axis.axis("off")
    axes[0, 0].set_ylabel("(J - min J) / min J", fontsize=8)
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=5, fontsize=7)
    return figure


def ratio_dots(found: list[Standing]) -> Any:
    """A line for each problem, a dot for each rival: its seconds to 1e-6 over ours."""
    figure, axes = figure_of(1, 1, 9, 1.5 + 0.28 * len(found))
    axis, handles = axes[0, 0], {}
    looks = style(answered(found))
    for height, standing in enumerate(reversed(found)):
        for name in standing.rivals():
            ratio = standing.ratio(name, 1e-6)
            if ratio:
                look = {"color": looks[name]["color"], "marker": looks[name]["marker"], "s": 22}
                handles[name] = axis.scatter(ratio, height, **look)
    axis.set_xscale("log")
    axis.axvline(1, color="#d62728")
    axis.set_yticks(range(len(found)), [standing.problem for standing in reversed(found)], fontsize=8)
    axis.set_xlabel("seconds to a gap of 1e-6 / ours: right of the line we are faster", fontsize=8)
    axis.grid(alpha=0.3)
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=4, fontsize=7)
    return figure


def growth(found: list[Standing]) -> Any:
    """Seconds to 1e-6 against m, n_x, K and the condition."""
    families: dict[str, list[tuple[float, Standing]]] = {}
    for standing in found:
        for what, _, value in (tag.partition(":") for tag in standing.traits["tags"] if ":" in tag):
            families.setdefault(what, []).append((float(value), standing))
    columns = max(1, len(families))
    figure, axes = figure_of(1, columns, 3.4 * columns, 3.6)
    looks = style(answered(found))
    handles = {}
    for axis, (what, points) in zip(axes.flat, families.items(), strict=False):
        for name in looks:
            line = sorted((x, s.seconds(name, 1e-6)[0]) for x, s in points if s.seconds(name, 1e-6))
            if line:
                handles[name] = axis.loglog(*zip(*line, strict=True), label=name, **looks[name])[0]
        axis.set_xlabel(what, fontsize=9)
        axis.grid(alpha=0.3)
        axis.tick_params(labelsize=7)
    axes[0, 0].set_ylabel("seconds to a gap of 1e-6", fontsize=8)
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=5, fontsize=7)
    return figure


def draw(found: list[Standing], folder: Path) -> Iterator[Path]:
    """Write the pictures; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    threads = max((standing.threads for standing in found), default=1)
    found = [standing for standing in found if standing.threads == threads]
    league = [standing for standing in found if "family" not in standing.traits["tags"]]
    families = [standing for standing in found if "family" in standing.traits["tags"]]
    pictures = {
        "seconds": lambda: curves(league, lambda point: point["seconds"][0], "seconds"),
        "passes": lambda: curves(league, lambda point: point["passes"] or point["iterations"], "passes, or iterations"),
        "ratios": lambda: ratio_dots(league),
        "growth": lambda: growth(families),
    }
    for name, make in pictures.items():
        if families if name == "growth" else league:
            path = folder / f"{name}.png"
            make().savefig(path, dpi=DPI)
            yield path
