"""What every picture shares: where it is drawn, and that it can be drawn again."""

from dataclasses import dataclass, field
from typing import Any, Self

__all__ = ["BLUE", "RED", "RED_AND_BLUE", "Display"]

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
        raise NotImplementedError


def _new_axes(size: tuple[float, float]) -> Any:
    try:
        from matplotlib import pyplot
    except ModuleNotFoundError as error:
        raise ImportError("pictures need matplotlib: pip install 'xlogreg[plots]'") from error
    return pyplot.subplots(figsize=size, layout="constrained")[1]
