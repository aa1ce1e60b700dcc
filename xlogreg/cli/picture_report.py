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

from xlogreg.cli.picture_samples import PictureSamples
from xlogreg.images.pictures import Pictures, unflatten
from xlogreg.inputs.files import printable, write_atomically
from xlogreg.inputs.labels import encode_known
from xlogreg.model.model import Model
from xlogreg.model.reports import Report
from xlogreg.plots import ConfusionMatrixDisplay, WeightsDisplay
from xlogreg.plots.display import plain

__all__ = ["draw_report", "outcome", "worst_mistakes"]

MOST_MISTAKES = 12  # pictures that are drawn
COLUMNS = 6  # pictures in a row
MOST_WEIGHTS = 5  # classes whose weights are drawn
LONGEST = 18  # characters; a longer name is cut
ROW = 2.05  # height of a row of pictures with their captions, in inches
HIGHEST = 9.0  # height of a confusion matrix of many classes, in inches
WIDTH = 9.0  # width of the report in inches


class Mistake(NamedTuple):
    """A misclassified picture by its number, its true and predicted class by number, and the latter's probability."""

    number: int
    true: int
    predicted: int
    probability: float


def worst_mistakes(model: Model, samples: PictureSamples) -> list[Mistake]:
    """List all mistakes of a model on pictures, the surest first."""
    A = model.predict_proba(samples.X)
    true = encode_known(samples.Y, A.shape[1], "columns", model.classes)[0]
    predicted = np.argmax(A, axis=0)
    wrong = np.flatnonzero(predicted != true)
    wrong = wrong[np.argsort(-A[predicted[wrong], wrong], kind="stable")]
    return [Mistake(i, true[i].item(), predicted[i].item(), A[predicted[i], i].item()) for i in wrong.tolist()]


def draw_report(path: Path, model: Model, samples: PictureSamples, title: str, report: Report) -> None:
    """Draw the report of a model on pictures into a file; the suffix of its name says the format.

    Parameters
    ----------
    path : Path
    model : Model
        A model with the features of ``samples.X``.
    samples : PictureSamples
        Samples whose labels ``Y`` are classes of the model.
    title : str
        A name for the pictures.
    report : Report
        The result of `Model.evaluate` for these samples.
    """
    mistakes = worst_mistakes(model, samples)
    shown = mistakes[:MOST_MISTAKES]
    names = _class_names(model)
    panels = 1 if len(names) == 2 else min(len(names), MOST_WEIGHTS)
    rows = math.ceil(len(shown) / COLUMNS)
    of_weights = 0.0 if samples.features is not None else 3.0 if panels == 1 else 0.8 + 1.2 * panels
    of_matrix = min(2.4 + 0.3 * len(names), HIGHEST)
    beside = len(names) <= MOST_WEIGHTS and of_weights > 0.0  # a larger matrix stands below the weights
    heights = [0.4 + ROW * rows, *([of_weights] if beside else filter(None, [of_weights, of_matrix]))]
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    top, *below = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    top.suptitle(plain(f"{_short(title, 60)}: {outcome(len(samples.pictures.files), len(mistakes), len(shown))}"))
    if shown:
        _draw_mistakes(top.subplots(rows, COLUMNS, squeeze=False).ravel(), shown, samples.pictures, names.tolist())
    if beside:
        axes = list(below[0].subplots(1, 2, width_ratios=(1.5, 1.0)))
    else:
        axes = [*map(_middle, below[:-1]), below[-1].subplots()]
    if of_weights:
        weights = unflatten(model.w, samples.pictures.pictures.shape[1:])[:panels]
        WeightsDisplay(weights, names if panels == 1 else names[:panels]).plot(axes[0])
        axes[0].set_title("weights" if len(names) <= MOST_WEIGHTS else f"weights of {panels} of {len(names)} classes")
    ConfusionMatrixDisplay.from_report(dataclasses.replace(report, classes=names), ax=axes[-1])
    axes[-1].set_title("confusion matrix")
    with write_atomically(path) as file, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the font may lack letters of a name
        figure.savefig(file, format=path.suffix[1:].lower(), dpi=120)


def _middle(part: Any) -> Any:
    """Make axes of the middle of a row: in wide ones, the titles of weights would be too large for their pictures."""
    axes = part.subplots(1, 3, width_ratios=(1.0, 4.0, 1.0))
    for ax in axes[[0, 2]]:
        ax.set_axis_off()
    return axes[1]


def outcome(m: int, wrong: int, shown: int) -> str:
    """Say how many of the pictures were told right, and which of the others are drawn."""
    if wrong == 0:
        return f"all {m} right"
    if wrong == 1:
        return f"{m - 1} of {m} right; the mistake"
    which = f"the {wrong} mistakes, the surest first" if shown == wrong else f"the {shown} surest of {wrong} mistakes"
    return f"{m - wrong} of {m} right; {which}"


def _draw_mistakes(axes: Sequence[Any], shown: list[Mistake], pictures: Pictures, names: list[str]) -> None:
    for ax in axes:
        ax.set_axis_off()
    said = [f"said: {names[mistake.predicted]}" for mistake in shown]
    apart = "\n" if max(map(len, said)) > LONGEST else " "  # a longer line would run into the next picture
    for ax, mistake, line in zip(axes, shown, said, strict=False):
        ax.imshow(pictures.pictures[mistake.number])
        file, share = _short(pictures.files[mistake.number].name, LONGEST + 4), f"({100 * mistake.probability:.0f} %)"
        ax.set_title(plain(f"{file}\ntrue: {names[mistake.true]}\n{line}{apart}{share}"), fontsize=8)


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
