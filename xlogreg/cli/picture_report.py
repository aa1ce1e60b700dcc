"""Draw a report of a model on pictures: its worst mistakes, its weights, its confusion matrix."""

import dataclasses
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from xlogreg.images.pictures import Pictures, unflatten
from xlogreg.inputs.files import printable, write_atomically
from xlogreg.inputs.labels import encode_known
from xlogreg.model.model import Model
from xlogreg.model.reports import Report
from xlogreg.plots import ConfusionMatrixDisplay, WeightsDisplay
from xlogreg.plots.display import plain

__all__ = ["draw_report", "worst_mistakes"]

MOST_MISTAKES = 12  # pictures that are drawn
COLUMNS = 6  # pictures in a row
MOST_WEIGHTS = 5  # classes whose weights are drawn
LONGEST = 18  # characters; a longer name is cut
WIDTH = 9.0  # width of the report in inches


class Mistake(NamedTuple):
    """A misclassified picture by its number, its true and predicted class by number, and the latter's probability."""

    number: int
    true: int
    predicted: int
    probability: float


def worst_mistakes(model: Model, pictures: Pictures) -> list[Mistake]:
    """List all mistakes of a model on pictures, the surest first."""
    A = model.predict_proba(pictures.X)
    true = encode_known(pictures.Y, A.shape[1], "columns", model.classes)[0]
    predicted = np.argmax(A, axis=0)
    wrong = np.flatnonzero(predicted != true)
    wrong = wrong[np.argsort(-A[predicted[wrong], wrong], kind="stable")]
    return [Mistake(i, true[i].item(), predicted[i].item(), A[predicted[i], i].item()) for i in wrong.tolist()]


def draw_report(path: Path, model: Model, pictures: Pictures, title: str, report: Report) -> None:
    """Draw the report of a model on pictures into a file; the suffix of its name says the format.

    Parameters
    ----------
    path : Path
    model : Model
        A model with the features of ``pictures.X``.
    pictures : Pictures
        Pictures whose labels ``Y`` are classes of the model.
    title : str
        A name for the pictures.
    report : Report
        The result of `Model.evaluate` for these pictures.
    """
    mistakes = worst_mistakes(model, pictures)
    shown = mistakes[:MOST_MISTAKES]
    names = _class_names(model)
    panels = 1 if len(names) == 2 else min(len(names), MOST_WEIGHTS)
    rows = math.ceil(len(shown) / COLUMNS)
    heights = [0.4 + 2.05 * rows, 3.0 if panels == 1 else 0.8 + 1.2 * panels]
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
    which = "" if len(shown) < 2 else ", the surest first" if shown == mistakes else f": the {len(shown)} surest"
    m, wrong = len(pictures.files), len(mistakes)
    top.suptitle(f"{plain(_short(title, 60))}: {m - wrong} of {m} right, {wrong} wrong{which}")
    if shown:
        _draw_mistakes(top.subplots(rows, COLUMNS, squeeze=False).ravel(), shown, pictures, names.tolist())
    left, right = bottom.subplots(1, 2, width_ratios=(1.5, 1.0))
    weights = unflatten(model.w, pictures.pictures.shape[1:])[:panels]
    WeightsDisplay(weights, names if panels == 1 else names[:panels]).plot(left)
    left.set_title("weights" if len(names) <= MOST_WEIGHTS else f"weights of {panels} of {len(names)} classes")
    ConfusionMatrixDisplay.from_report(dataclasses.replace(report, classes=names), ax=right)
    right.set_title("confusion matrix")
    with write_atomically(path) as file, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the font may lack letters of a name
        figure.savefig(file, format=path.suffix[1:].lower(), dpi=120)


def _draw_mistakes(axes: Sequence[Any], shown: list[Mistake], pictures: Pictures, names: list[str]) -> None:
    for ax in axes:
        ax.set_axis_off()
    for ax, mistake in zip(axes, shown, strict=False):
        ax.imshow(pictures.pictures[mistake.number])
        file = _short(pictures.files[mistake.number].name)
        taken_for = f"not {names[mistake.predicted]} ({100 * mistake.probability:.0f} %)"
        ax.set_title(plain(f"{file}\n{names[mistake.true]},\n{taken_for}"), fontsize=8)


def _class_names(model: Model) -> np.ndarray:
    """Shorten the names of the classes; if two become the same, put the number of the class before each."""
    labels = [str(label) for label in model.classes.tolist()]
    names = [_short(label) for label in labels]
    if len(set(names)) < len(names):
        names = [_short(f"{number} {label}") for number, label in enumerate(labels)]
    return np.asarray(names)


def _short(text: str, longest: int = LONGEST) -> str:
    text = printable(text)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
