"""Draw the classes that a model of two features predicts, over the plane of these features."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from xlogreg.arrays.place import to_host
from xlogreg.inputs.door import take_features
from xlogreg.inputs.labels import encode_known
from xlogreg.plots.display import RED_AND_BLUE, Display, class_colours, label_of, plain

__all__ = ["DecisionBoundaryDisplay"]

POINTS = 200  # of the grid along each feature
ALPHA = 0.55  # opacity of the background, low enough that the samples stand out
MARGIN = 0.08  # space around the samples, as a share of their extent


@dataclass(eq=False)
class DecisionBoundaryDisplay(Display):
    """Probabilities over the plane of two features, the lines where the two likeliest classes tie, and samples.

    With two classes, the colour shows the probability: blue for the first class, red for the second. With more classes,
    each point has the colour of its likeliest class, and is paler where that class is less likely.

    Attributes
    ----------
    first, second : ndarray (points,)
        Values of the two features, along the axes of the grid.
    log_probability : ndarray (K, points, points)
        Logarithm of the probability of each class, at ``second[i]`` and ``first[j]``.
    X : ndarray (2, m)
        The samples.
    numbers : ndarray (m,), or None
        The number of the class of each sample.
    classes : ndarray (K,)
    names : tuple of two str
        The names of the features.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> from matplotlib.figure import Figure
    >>> from xlogreg.plots import DecisionBoundaryDisplay
    >>> X, Y = np.asarray([[-2.0, -1.0, 1.0, 2.0], [0.0, 1.0, 0.0, 1.0]]), [0, 1, 0, 1]
    >>> display = DecisionBoundaryDisplay.from_model(xlogreg.fit(X, Y, l2=0.1), X, Y, ax=Figure().subplots())
    >>> display.log_probability.shape
    (2, 200, 200)
    """

    first: np.ndarray
    second: np.ndarray
    log_probability: np.ndarray
    X: np.ndarray
    numbers: np.ndarray | None
    classes: np.ndarray
    names: tuple[str, str]

    @classmethod
    def from_model(cls, model: Any, X: Any, Y: Any = None, *, ax: Any = None) -> Self:
        """Draw the predictions of a model in the region around samples.

        Parameters
        ----------
        model : Model
            A model of two features.
        X : array (2, m), or (m, 2) for a model of rows
        Y : array (m,), optional
            Labels of the samples; each class has a colour.
        ax : matplotlib.axes.Axes, optional
            The axes to draw into. Default: a new figure.

        Raises
        ------
        ValueError
            If the model does not have two features, or does not accept X or Y.
        """
        if model.w.shape[0] != 2:
            raise ValueError(f"a plane has two features, but the model has {model.w.shape[0]}: fit one to two of them")
        model.decision_function(X)  # raises an error that says what is wrong with X
        rows = model.samples == "rows"
        values = take_features(X, model.samples, model.feature_names, 2, model.encoding).X.host()
        values = (values.T if rows else values).astype(np.float64)
        numbers = None
        if Y is not None:
            numbers = to_host(encode_known(Y, values.shape[1], model.samples, model.classes))[0]
        low, high = np.min(values, axis=1), np.max(values, axis=1)
        margin = np.where(high > low, MARGIN * (high - low), 1.0)
        first, second = np.linspace(low - margin, high + margin, POINTS, axis=1)
        grid = np.stack([part.ravel() for part in np.meshgrid(first, second)])
        found = to_host(model.predict_log_proba(grid.T if rows else grid))
        found = (found.T if rows else found).reshape(-1, POINTS, POINTS)
        names = label_of(0, model.feature_names), label_of(1, model.feature_names)
        return cls(first, second, found, values, numbers, model.classes, names).plot(ax)

    def _draw(self, ax: Any) -> None:
        K, colours = len(self.classes), class_colours(len(self.classes))
        where = {"origin": "lower", "aspect": "auto", "extent": (*self.first[[0, -1]], *self.second[[0, -1]])}
        probability = np.exp(self.log_probability)
        if K == 2:
            image = ax.imshow(probability[1], cmap=RED_AND_BLUE, vmin=0.0, vmax=1.0, alpha=ALPHA, **where)
            ax.figure.colorbar(image, ax=ax, label=f"probability of {plain(self.classes[1])}")
        else:
            sure = ALPHA * (np.max(probability, axis=0) - 1.0 / K)[..., None] / (1.0 - 1.0 / K)
            likeliest = np.asarray(colours)[np.argmax(probability, axis=0), :3]
            ax.imshow(1.0 - sure * (1.0 - likeliest), **where)
        for k in range(K) if K > 2 else [1]:
            # with two classes this is w'x + b, so the line is straight on any grid
            ahead = self.log_probability[k] - np.max(np.delete(self.log_probability, k, axis=0), axis=0)
            if np.min(ahead) < 0.0 < np.max(ahead):
                ax.contour(self.first, self.second, ahead, levels=[0.0], colors="black", linewidths=1.2)
        style = {"s": 25, "edgecolors": "white", "linewidths": 0.5}
        if self.numbers is None:
            ax.scatter(*self.X, color="black", **style)
        else:
            for k, (name, colour) in enumerate(zip(self.classes.tolist(), colours, strict=True)):
                ax.scatter(*self.X[:, self.numbers == k], color=[colour], label=plain(name), **style)
            ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=min(K, 4), frameon=False)
        ax.set_xlabel(self.names[0])
        ax.set_ylabel(self.names[1])
