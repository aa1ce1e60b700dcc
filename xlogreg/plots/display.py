"""What every picture shares: where it is drawn, and that it can be drawn again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

__all__ = ["BLUE", "RED", "RED_AND_BLUE", "Display", "class_colours", "label_of", "plain", "width_of"]

RED_AND_BLUE = "RdBu_r"  # diverging, and told apart by every kind of eyes: blue is low, red is high
BLUE, RED = "#2166ac", "#b2182b"  # near its two ends


@dataclass(eq=False)
class Display:
    """Values and their picture, as scikit-learn's displays: `plot` draws the same values wherever it is asked to.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where it was drawn last.
    """

    ax_: Any = field(init=False, repr=False)

    @property
    def figure_(self) -> Any:
        """The figure of `ax_`."""
        return self.ax_.figure

    @property
    def figure_size(self) -> tuple[float, float]:
        """Width and height in inches of the figure that `plot` makes."""
        return 6.4, 4.8

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to; a new figure of pyplot without.

        Raises
        ------
        ImportError
            Without matplotlib (the extra "plots").
        """
        self.ax_ = _new_axes(self.figure_size) if ax is None else ax
        self._draw(self.ax_)
        return self

    def _draw(self, ax: Any) -> None:
        raise NotImplementedError  # abstract: each display draws itself


def width_of(ax: Any) -> float:
    """Width of axes in points, before room is made for what stands beside them."""
    return 72.0 * ax.get_window_extent().width / ax.figure.dpi


def class_colours(K: int) -> list[Any]:
    """A colour for each of K classes."""
    if K == 2:
        return [BLUE, RED]
    from matplotlib import colormaps

    return [colormaps["tab10"](k) if K <= 10 else colormaps["viridis"](k / (K - 1)) for k in range(K)]


def label_of(feature: int, names: Sequence[str] | None) -> str:
    """The name of a feature, or its number."""
    return f"feature {feature}" if names is None else plain(names[feature])


def plain(name: Any) -> str:
    """The text as it is: what stands between two dollars would be read as mathematics."""
    return str(name).replace("$", r"\$")


def _new_axes(size: tuple[float, float]) -> Any:
    try:
        from matplotlib import pyplot
    except ModuleNotFoundError as error:
        raise ImportError("pictures need matplotlib: pip install 'xlogreg[plots]'") from error
    return pyplot.subplots(figsize=size, layout="constrained")[1]
