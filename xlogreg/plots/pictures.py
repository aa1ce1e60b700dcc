"""Weights of models of pictures, drawn as pictures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from xlogreg.arrays.place import to_host
from xlogreg.plots.display import RED_AND_BLUE, Display, plain, width_of

__all__ = ["WeightsDisplay"]

CHANNELS = ("red", "green", "blue")
WIDER = 1.6  # wanted ratio of columns to rows in a grid of pictures


@dataclass(eq=False)
class WeightsDisplay(Display):
    """Weights as one picture per class: red where a brighter pixel speaks for the class, blue where it speaks against.

    Two classes share one picture: red speaks for the second, blue for the first. The three channels of coloured
    pictures stand side by side: their weights often have opposite signs, which a mean would hide.

    Attributes
    ----------
    weights : ndarray (k, height, width) or (k, height, width, 3)
    classes : ndarray (K,)
    axes_ : list of matplotlib.axes.Axes
        The axes of each picture; insets of `ax_` if there are several pictures.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> from matplotlib.figure import Figure
    >>> from xlogreg.plots import WeightsDisplay
    >>> X = np.eye(4)  # four pictures of 2 x 2 pixels
    >>> model = xlogreg.fit(X, ["left", "right", "left", "right"], l2=0.1)
    >>> display = WeightsDisplay.from_model(model, shape=(2, 2), ax=Figure().subplots())
    >>> bool(display.weights[0, 0, 0] < 0 < display.weights[0, 0, 1])
    True
    """

    weights: np.ndarray
    classes: np.ndarray

    @classmethod
    def from_model(cls, model: Any, *, shape: Sequence[int], ax: Any = None) -> Self:
        """Draw the weights of a model.

        Parameters
        ----------
        model : Model
            A model whose features are the pixels of pictures, flattened row by row as in the notes (2.9).
        shape : (height, width), or (height, width, 3) for pictures in red, green and blue
        ax : matplotlib.axes.Axes, optional
            The axes to draw into. Default: a new figure.

        Raises
        ------
        ValueError
            If ``shape`` is not one of these, or if it does not fit the number of features.
        """
        shape, n_x = tuple(shape), model.w.shape[0]
        if not (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)):
            raise ValueError(f"shape must be (height, width) or (height, width, 3), not {shape}")
        if math.prod(shape) != n_x:
            raise ValueError(f"shape {shape} is that of {math.prod(shape)} numbers, but the model has {n_x} features")
        return cls(to_host(model.w).T.reshape(-1, *shape), model.classes).plot(ax)

    @property
    def figure_size(self) -> tuple[float, float]:
        rows, columns, height, width = *self._grid(), *self.weights.shape[1:3]
        return 6.4, min(max(5.2 * rows * height / (columns * width) + 0.4 * rows, 2.4), 12.0)

    def _grid(self) -> tuple[int, int]:
        """Count the rows and columns of the grid of pictures."""
        count = len(self.weights)
        if self.weights.ndim == 4:
            return count, 3
        rows = max(round(math.sqrt(count / WIDER)), 1)
        return rows, math.ceil(count / rows)

    def _draw(self, ax: Any) -> None:
        names = [plain(name) for name in self.classes.tolist()]
        titles = names if len(self.weights) > 1 else [""]
        panels = list(zip(titles, self.weights, strict=True))
        if self.weights.ndim == 4:
            panels = [
                (f"{title} {channel}".strip(), picture[..., number])
                for title, picture in panels
                for number, channel in enumerate(CHANNELS)
            ]
        largest = float(np.max(np.abs(self.weights))) or 1.0
        columns = self._grid()[1]
        wide = 0.8 * width_of(ax)  # the colour bar takes the rest
        size = min(10.0, 1.5 * wide / columns / max(*(len(title) for title, _ in panels), 1))
        self.axes_ = [ax] if len(panels) == 1 else self._insets(ax, len(panels), 2.0 * size / wide)
        for axes, (title, picture) in zip(self.axes_, panels, strict=True):
            image = axes.imshow(picture, cmap=RED_AND_BLUE, vmin=-largest, vmax=largest, interpolation="nearest")
            axes.set_title(title, fontsize=size, pad=0.3 * size)
            axes.set_xticks([])
            axes.set_yticks([])
        what = "weight" if len(self.weights) > 1 else f"← {names[0]}   weight   {names[1]} →"
        ax.figure.colorbar(image, ax=ax, label=what)

    def _insets(self, ax: Any, count: int, title: float) -> list[Any]:
        """Make axes in rows inside ``ax``, each below a title of height ``title``; lengths are in widths of ``ax``."""
        rows, columns, height, width = *self._grid(), *self.weights.shape[1:3]
        wide = 0.95 / columns
        high = wide * height / width
        row = high + title
        ax.set_axis_off()
        ax.set_box_aspect(rows * row)
        corners = [((number % columns) / columns, 1 - (number // columns + 1) / rows) for number in range(count)]
        return [ax.inset_axes((*corner, wide, high / (rows * row))) for corner in corners]
