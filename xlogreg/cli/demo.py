"""The demo: the notes' gradient descent beside the default solver, on a real table and on real pictures.

The data ship with scikit-learn, so nothing is downloaded.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_breast_cancer, load_sample_images
from sklearn.model_selection import train_test_split

from xlogreg.fitting.fit import fit
from xlogreg.model.model import Model
from xlogreg.plots import LearningCurvesDisplay

__all__ = ["Dataset", "cut_patches", "load_pictures", "load_table", "run_demo"]

SIZE = 64  # pixels a side, as in the notes' assignment
M_TRAIN = 209  # pictures to learn from, as in the assignment of the notes
M_TEST = 50  # pictures to test with, as there
TRAIN_COLUMNS, TEST_COLUMNS = slice(0, 448), slice(448, 640)  # of a photograph 640 pixels wide
GD_ITERATIONS = 2000


class Dataset(NamedTuple):
    """One data set of the demo; samples are columns."""

    title: str
    about: str
    X_train: np.ndarray
    Y_train: np.ndarray
    X_test: np.ndarray
    Y_test: np.ndarray
    l2: float
    standardize: bool | float


def load_table() -> Dataset:
    """Load the breast cancer data: 569 tumours, 30 measurements of each; three quarters of them are for training."""
    data = load_breast_cancer()
    labels = data.target_names[data.target]
    split = train_test_split(data.data, labels, test_size=0.25, random_state=0, stratify=labels)
    X_train, X_test, Y_train, Y_test = split
    about = "breast cancer (Wisconsin, diagnostic): is a tumour benign or malignant, from 30 measurements"
    return Dataset("breast cancer", about, X_train.T, Y_train, X_test.T, Y_test, 1e-3, True)


def cut_patches(picture: np.ndarray, count: int, columns: slice, rng: np.random.Generator) -> np.ndarray:
    """Cut patches (count, 64, 64, 3) at random places out of ``picture[:, columns]``; they may overlap."""
    part = picture[:, columns]
    tops = rng.integers(0, part.shape[0] - SIZE + 1, count)
    lefts = rng.integers(0, part.shape[1] - SIZE + 1, count)
    return np.stack([part[y : y + SIZE, x : x + SIZE] for y, x in zip(tops, lefts, strict=True)])


def load_pictures() -> Dataset:
    """Load patches of two photographs, as many as the notes have pictures of cats: 209 to train on, 50 to test.

    Train patches lie in the left 448 columns of a photograph, test patches in the right 192: no pixel is in both.
    """
    rng = np.random.default_rng(0)
    pictures = dict(zip(("temple", "flower"), load_sample_images().images, strict=True))
    train, test, Y_train, Y_test = [], [], [], []
    for name, picture in pictures.items():
        count = M_TRAIN // 2 + (name == "temple"), M_TEST // 2
        train.append(cut_patches(picture, count[0], TRAIN_COLUMNS, rng))
        test.append(cut_patches(picture, count[1], TEST_COLUMNS, rng))
        Y_train += [name] * count[0]
        Y_test += [name] * count[1]
    columns = [np.concatenate(part).reshape(len(labels), -1).T for part, labels in ((train, Y_train), (test, Y_test))]
    about = "64 x 64 x 3 patches of two photographs, as columns of 12288 bytes: of the temple or of the flower"
    labels_train, labels_test = np.asarray(Y_train), np.asarray(Y_test)
    return Dataset("pictures", about, columns[0], labels_train, columns[1], labels_test, 1e-2, 255)


def run_demo(backend: str | None = None, folder: Path | None = None) -> None:
    """Print the demo; write pictures into ``folder`` if it is given."""
    for problem in (load_table(), load_pictures()):
        models = compare(problem, backend)
        if folder is not None:
            print(f"\npicture: {draw(problem, models, folder)}")
        print()


def compare(problem: Dataset, backend: str | None) -> dict[str, Model]:
    """Fit by gradient descent and by the default solver, and print them side by side."""
    X, Y = problem.X_train, problem.Y_train
    options: dict[str, Any] = {"backend": backend, "l2": problem.l2, "standardize": problem.standardize}
    models = {
        "gradient descent": fit(X, Y, solver="gd", max_iter=GD_ITERATIONS, **options),
        "default solver": fit(X, Y, **options),
    }
    info = models["default solver"].fit_info
    n_x, m = X.shape
    scaling = "every feature standardised" if problem.standardize is True else f"divided by {problem.standardize}"
    print(f"{problem.title}: {problem.about}")
    print(f"  m_train {m}, m_test {problem.X_test.shape[1]}, n_x {n_x}, {X.dtype}, {scaling}")
    print(
        f"  J = mean log loss + (l2/2) ||w||^2 with l2 = {problem.l2:g}: without a penalty a hyperplane separates the"
    )
    print("  training samples, so there would be no minimum")
    print(f"  computed by {info.backend} on {info.device} in {info.dtype}, default solver: {info.solver}\n")
    best = min(model.fit_info.cost for model in models.values())
    head = ("", "cost J", "above best", "gap", "known by", "train", "test", "iterations", "passes", "seconds")
    rows = [head, *(_row(name, model, problem, best) for name, model in models.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        print("  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    print(f"\n  {_lesson(models)}")
    return models


def _row(name: str, model: Model, problem: Dataset, best: float) -> tuple[str, ...]:
    info = model.fit_info
    train = model.evaluate(problem.X_train, problem.Y_train).accuracy
    test = model.evaluate(problem.X_test, problem.Y_test).accuracy
    return (
        name,
        f"{info.cost:.8f}",
        f"{info.cost - best:.1e}",
        f"{info.gap:.1e}",
        info.gap_known,
        f"{100 * train:.1f} %",
        f"{100 * test:.1f} %",
        str(info.iterations),
        str(info.passes),
        f"{info.seconds:.2f}",
    )


def _lesson(models: dict[str, Model]) -> str:
    slow, quick = models["gradient descent"].fit_info, models["default solver"].fit_info
    return (
        f"After {slow.passes} passes over the data gradient descent is {slow.cost - quick.cost:.1e} above the cost "
        f"that the default solver\n  reached in {quick.passes}, which is {quick.gap:.0e} or less above the minimum."
    )


def draw(problem: Dataset, models: dict[str, Model], folder: Path) -> Path:
    """Draw the cost of both solvers above the lowest cost found, over passes; return the path of the file."""
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    ax = Figure(figsize=(7, 4.5), layout="constrained").subplots()
    ax.set_title(f"{problem.title}: {problem.X_train.shape[1]} samples of {problem.X_train.shape[0]} features")
    path = folder / f"{problem.title.replace(' ', '-')}.png"
    LearningCurvesDisplay.from_models(models, above_best=True, ax=ax).figure_.savefig(path, dpi=120)
    return path
