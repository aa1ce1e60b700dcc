"""Pictures of what data say about coefficients: odds ratios with intervals, and profiles of the likelihood."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from xlogreg.inference.distributions import quantile
from xlogreg.inference.estimates import expect_level
from xlogreg.plots.display import BLUE, Display, class_colours, plain

__all__ = ["ForestDisplay", "ProfileDisplay"]

ROW = 0.32  # height of a row in inches
FEW = 1000.0  # ratio of the ends of an axis; on a longer one, three labels for each power of ten would overlap
SPREAD = 0.5  # share of a row over which the classes of one feature lie


@dataclass(eq=False)
class ForestDisplay(Display):
    """A forest plot: the odds ratio of each feature with its interval, on a logarithmic scale.

    An interval that crosses the line at 1 leaves open whether the odds rise or fall with the feature. An interval
    without finite ends above zero is left out.

    Attributes
    ----------
    names : ndarray (n,)
        Names of the features.
    odds_ratios, lower, upper : ndarray (n,)
    level : float
        Coverage of the intervals.
    classes : ndarray (n,), or None
        For three classes or more, the class of each row.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> from matplotlib.figure import Figure
    >>> from xlogreg.plots import ForestDisplay
    >>> X, Y = np.asarray([[-2.0, -1.0, 0.5, 1.0, 2.0, 3.0]]), [0, 1, 0, 1, 0, 1]
    >>> display = ForestDisplay.from_summary(xlogreg.fit(X, Y).summary(), ax=Figure().subplots())
    >>> display.odds_ratios.round(4)
    array([1.3523])
    """

    names: np.ndarray
    odds_ratios: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    level: float
    classes: np.ndarray | None = None

    @classmethod
    def from_summary(cls, summary: Any, *, features: Sequence[str] | None = None, ax: Any = None) -> Self:
        """Draw the odds ratios of a `Summary`, without that of the bias, which is no ratio.

        Parameters
        ----------
        summary : Summary
            The result of `Model.summary`.
        features : list of str, optional
            Names of the features to draw, in this order. Default: all, in the order of the table.
        ax : matplotlib.axes.Axes, optional
            The axes to draw into. Default: a new figure.

        Raises
        ------
        ValueError
            If a feature is not in the table.
        """
        table = summary.table
        last = str(table["name"][-1])  # the bias, in as many parentheses as tell it from features, unless there is none
        kept = table["name"] != (last if last.strip("()") == "bias" else "")
        bounds = np.exp(table["lower"]), np.exp(table["upper"])
        return cls._of(table, bounds, summary.level, kept, features).plot(ax)

    @classmethod
    def from_odds_ratios(cls, odds_ratios: Any, *, features: Sequence[str] | None = None, ax: Any = None) -> Self:
        """Draw the result of `Model.odds_ratios`; ``features`` and ``ax`` are those of `from_summary`."""
        table = odds_ratios.table
        bounds = table["lower"], table["upper"]
        return cls._of(table, bounds, odds_ratios.level, np.ones(len(table), dtype=bool), features).plot(ax)

    @classmethod
    def _of(cls, table: Any, bounds: Any, level: float, kept: np.ndarray, features: Sequence[str] | None) -> Self:
        names = table["name"][kept].tolist()
        wanted = list(dict.fromkeys(names)) if features is None else list(features)
        unknown = [name for name in wanted if name not in names]
        if unknown:
            raise ValueError(f"features must be names of the table; {unknown[0]!r} is not one of them")
        rows = np.flatnonzero(kept)
        order = [row for name in wanted for row in rows.tolist() if table["name"][row] == name]
        classes = table["class"][order] if "class" in table.dtype.names else None
        lower, upper = (np.asarray(bound)[order] for bound in bounds)
        return cls(table["name"][order], table["odds_ratio"][order], lower, upper, level, classes)

    @property
    def figure_size(self) -> tuple[float, float]:
        return 6.4, max(2.4, 1.2 + ROW * len(self.names))

    def _draw(self, ax: Any) -> None:
        features = list(dict.fromkeys(self.names.tolist()))
        classes = [None] if self.classes is None else list(dict.fromkeys(self.classes.tolist()))
        colours = [BLUE] if self.classes is None else class_colours(max(3, len(classes)))
        ax.axvline(1.0, color="0.5", linestyle="--", linewidth=1.0)
        for number, label in enumerate(classes):
            own = np.ones(len(self.names), bool) if label is None else self.classes == label
            shift = SPREAD * ((number + 0.5) / len(classes) - 0.5)
            place = np.asarray([features.index(name) for name in self.names[own].tolist()]) + shift
            ratio, lower, upper = self.odds_ratios[own], self.lower[own], self.upper[own]
            shown = np.isfinite(ratio) & (ratio > 0.0)
            known = shown & np.isfinite(upper) & (lower > 0.0)
            style = {"color": colours[number], "linestyle": "none"}
            about = {} if label is None else {"label": plain(label)}
            ax.plot(ratio[shown], place[shown], marker="o", markersize=5, **style, **about)
            ax.hlines(place[known], lower[known], upper[known], color=colours[number], linewidth=1.5)
        ax.set_xscale("log")
        _mark_ratios(ax)
        ax.set_yticks(range(len(features)), [plain(name) for name in features])
        ax.set_ylim(len(features) - 0.5, -0.5)  # the first feature is on top
        ax.set_xlabel(f"odds ratio, {100 * self.level:g} % interval")
        ax.grid(axis="x", alpha=0.3)
        if self.classes is not None:
            ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=min(4, len(classes)), frameon=False)


def _mark_ratios(ax: Any) -> None:
    """Label a logarithmic axis by plain numbers, and by 1, 2 and 5 of each power of ten if it spans few of them."""
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

    low, high = ax.get_xlim()
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < FEW * low else (1.0,)))
    ax.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    ax.xaxis.set_minor_locator(NullLocator())


@dataclass(eq=False)
class ProfileDisplay(Display):
    """Profiles of the likelihood: by how much the deviance grows if one coefficient is held at other values.

    The horizontal line is the quantile of the chi-squared distribution of one degree of freedom. The interval of a
    coefficient ends where its curve crosses this line. A parabola says that Wald's interval is about the same.

    Attributes
    ----------
    values : dict of ndarray (n,)
        For each name, the values at which the coefficient is held.
    changes : dict of ndarray (n,)
        Deviance there, less the deviance of the fit.
    level : float
        Coverage of the interval that the line shows.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from xlogreg.plots import ProfileDisplay
    >>> values = np.linspace(-2.0, 4.0, 50)
    >>> display = ProfileDisplay.from_curves({"dose": (values, (values - 1.0) ** 2)}, ax=Figure().subplots())
    >>> list(display.changes)
    ['dose']
    """

    values: dict[str, np.ndarray]
    changes: dict[str, np.ndarray]
    level: float

    @classmethod
    def from_curves(cls, curves: Mapping[str, Any], *, level: float = 0.95, ax: Any = None) -> Self:
        """Draw curves.

        Parameters
        ----------
        curves : dict of two arrays (n,) by name
            Values of a coefficient, and the change of the deviance at each. Values that are not finite are left out.
        level : float
            Coverage of the interval that the horizontal line shows.
        ax : matplotlib.axes.Axes, optional
            The axes to draw into. Default: a new figure.

        Raises
        ------
        ValueError
            If there are no curves, or the arrays of one differ in length.
        """
        if not curves:
            raise ValueError("curves is empty: there must be one or more")
        values, changes = {}, {}
        for name, (own, change) in curves.items():
            own, change = np.asarray(own, dtype=np.float64), np.asarray(change, dtype=np.float64)
            if own.ndim != 1 or own.shape != change.shape:
                raise ValueError(
                    f"the curve {name!r} must have two arrays of one length; got {own.shape}, {change.shape}"
                )
            kept = np.isfinite(own) & np.isfinite(change)
            order = np.argsort(own[kept], kind="stable")
            values[name], changes[name] = own[kept][order], change[kept][order]
        return cls(values, changes, expect_level(level)).plot(ax)

    def _draw(self, ax: Any) -> None:
        height = quantile(self.level) ** 2
        for name, values in self.values.items():
            marker = "." if len(values) < 30 else None
            ax.plot(values, self.changes[name], marker=marker, linewidth=1.5, label=plain(name))
        ax.axhline(height, color="0.5", linestyle="--", linewidth=1.0, label=f"{100 * self.level:g} % interval")
        ax.set_ylim(0.0, 2.0 * height)
        ax.set_xlabel("coefficient")
        ax.set_ylabel("deviance above that of the fit")
        ax.grid(alpha=0.3)
        ax.legend()
