"""The base class of all pictures, and helper functions for colours and labels."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

__all__ = ["BLUE", "RED", "RED_AND_BLUE", "Display", "class_colours", "label_of", "plain", "width_of"]

RED_AND_BLUE = "RdBu_r"  # diverging, and safe for colour-blind readers: blue is low, red is high
BLUE, RED = "#2166ac", "#b2182b"  # colours near the two ends of that colour map


@dataclass(eq=False)
class Display:
    """Values and their picture, like scikit-learn's displays: `plot` draws the same values into any axes.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes of the last drawing.
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
        """Draw the values.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            The axes to draw into. Default: a new figure of pyplot.

        Raises
        ------
        ImportError
            If matplotlib (the extra "plots") is not installed.
        """
        self.ax_ = _new_axes(self.figure_size) if ax is None else ax
        self._draw(self.ax_)
        return self

    def _draw(self, ax: Any) -> None:
        raise NotImplementedError  # abstract: each display draws itself


def width_of(ax: Any) -> float:
    """Width of axes in points, before the layout makes room for labels and colour bars beside them."""
    return 72.0 * ax.get_window_extent().width / ax.figure.dpi


def class_colours(K: int) -> list[Any]:
    """Choose a colour for each of K classes."""
    if K == 2:
        return [BLUE, RED]
    from matplotlib import colormaps

    return [colormaps["tab10"](k) if K <= 10 else colormaps["viridis"](k / (K - 1)) for k in range(K)]


def label_of(feature: int, names: Sequence[str] | None) -> str:
    """The name of a feature; without names, "feature" and its number."""
    return f"feature {feature}" if names is None else plain(names[feature])


def plain(name: Any) -> str:
    """Escape the dollar signs of a name: matplotlib would read text between two of them as mathematics."""
    return str(name).replace("$", r"\$")


def _new_axes(size: tuple[float, float]) -> Any:
    try:
        from matplotlib import pyplot
    except ModuleNotFoundError as error:
        raise ImportError("pictures need matplotlib: pip install 'xlogreg[plots]'") from error
    return pyplot.subplots(figsize=size, layout="constrained")[1]
