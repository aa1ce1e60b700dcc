"""What the results mean: where the minimum is, who confirms it, and how long each competitor takes to come near."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from benchmarks.judge import CONFIRMED, agreement

__all__ = ["GAPS", "OURS", "Minimum", "Standing", "standings"]

Record = dict[str, Any]
GAPS = (1e-3, 1e-6, 1e-9)  # of the cost
OURS, LIBRARY = "xlogreg numpy", "xlogreg"


class Minimum(NamedTuple):
    """The lowest cost that anybody found, the libraries within 1e-10 of it, and what is proved: a share of the cost."""

    cost: float
    libraries: list[str]
    proved: float

    def __str__(self) -> str:
        if len(self.libraries) > 1:
            return ", ".join(self.libraries)
        word = f"proved to {self.proved:.0e}" if self.proved <= CONFIRMED else "UNCONFIRMED"
        return f"{word}, {self.libraries[0]} alone"


class Standing(NamedTuple):
    """A problem on so many threads: its minimum, and the records of all competitors by name."""

    problem: str
    threads: int
    minimum: Minimum
    records: dict[str, Record]

    @property
    def traits(self) -> Record:
        return next(record for record in self.records.values() if "m" in record)

    def gap(self, point: Record) -> float:
        """Above the minimum, as a share of it."""
        return math.inf if point["cost"] is None else max(point["cost"] / self.minimum.cost - 1, 0.0)

    def points(self, name: str) -> list[Record]:
        """What counts: the rivals' settings all, ours at its defaults alone."""
        record = self.records.get(name, {"points": [], "library": ""})
        ranked = [point for point in record["points"] if not point["looser"]]
        return ranked[:1] if record["library"] == LIBRARY else ranked

    def seconds(self, name: str, gap: float) -> list[float] | None:
        """Median, lowest and highest of the fastest setting that comes so near; None where none does."""
        near = [point["seconds"] for point in self.points(name) if self.gap(point) <= gap]
        return min(near, default=None)

    def nearest(self, name: str) -> float:
        """The smallest gap of all settings."""
        return min((self.gap(point) for point in self.points(name)), default=math.inf)

    def ratio(self, name: str, gap: float) -> float | None:
        """Its seconds over ours: above 1 we are faster; 0 where only it comes so near, None where it does not."""
        theirs, ours = self.seconds(name, gap), self.seconds(OURS, gap)
        if theirs is None:
            return None
        return theirs[0] / ours[0] if ours else 0.0

    def rivals(self) -> list[str]:
        """Those of other libraries that fitted."""
        ranked = (r for r in self.records.values() if not r["referee"] and r["library"] != LIBRARY)
        return [record["competitor"] for record in ranked if "refuses" not in record]

    def best_rival(self, gap: float) -> str | None:
        """The fastest to come so near."""
        reached = {name: found[0] for name in self.rivals() if (found := self.seconds(name, gap))}
        return min(reached, key=reached.__getitem__, default=None)

    def worst(self, gap: float) -> float:
        """The ratio of the best rival; infinite where none comes so near."""
        return min((r for name in self.rivals() if (r := self.ratio(name, gap)) is not None), default=math.inf)


def minimum_of(records: Iterable[Record]) -> Minimum:
    points = [(r["library"], p) for r in records for p in r["points"] if p["cost"] is not None]
    costs: dict[str, float] = {}
    for library, point in points:
        costs[library] = min(point["cost"], costs.get(library, math.inf))
    cost, libraries = agreement(costs)
    # what is proved of an answer holds for the lowest, which lies below it
    bounds = [point["bound"] - (point["cost"] - cost) for _, point in points if point["bound"] is not None]
    return Minimum(cost, libraries, max(min(bounds, default=math.inf), 0.0) / cost)


def standings(records: list[Record]) -> list[Standing]:
    """Of all problems that we fitted, the worst for us first."""
    found = []
    for problem in dict.fromkeys(record["problem"] for record in records):
        about = [record for record in records if record["problem"] == problem]
        if not any(record["points"] for record in about):
            continue
        minimum = minimum_of(about)
        for threads in sorted({record["threads"] for record in about}):
            named = {record["competitor"]: record for record in about if record["threads"] == threads}
            if OURS in named:
                found.append(Standing(problem, threads, minimum, named))
    return sorted(found, key=lambda standing: standing.worst(1e-6))
