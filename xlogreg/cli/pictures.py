"""The commands on pictures: `xlogreg images fit`, `predict`, `evaluate`. A folder has one subfolder for each class."""

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xlogreg.fitting.fit import fit
from xlogreg.fitting.fit_cv import Selection, fit_cv
from xlogreg.fitting.held_out import split
from xlogreg.images.files import Skipped, read_pictures
from xlogreg.images.pictures import Pictures, flatten, load_folder
from xlogreg.inputs.files import expect_folder, printable
from xlogreg.model.model import Model, load
from xlogreg.model.reports import as_json

__all__ = ["evaluate_pictures", "fit_pictures", "predict_pictures"]

PENALTIES = np.logspace(2, -4, 7)  # values of l2 to choose from, for pixels from 0 to 1
FOLDS = 5  # of the cross-validation, or fewer if a class has fewer pictures
MOST_LINES = 20  # lines about skipped files; --json has all of them
REPORTS = (".png", ".pdf", ".svg")  # suffixes of files that a report can be drawn into


def fit_pictures(arguments: argparse.Namespace) -> None:
    """Fit a model to a share of the pictures, write it, and report on it and on the other share."""
    expect_folder(arguments.output)
    draw = _drawing(arguments.report)
    found = load_folder(arguments.folder, arguments.size, strict=arguments.strict, progress=sys.stderr.isatty())
    numbers = split(found.Y[0], arguments.test_share, np.random.default_rng(arguments.seed))
    parts = {name: found.take(part) for name, part in zip(("train", "test"), numbers, strict=True) if len(part)}
    train = parts["train"]
    options: dict[str, Any] = {"backend": arguments.backend, "rng": arguments.seed}
    chosen = None if arguments.l2 is not None else _cross_validated(train, options)
    l2 = arguments.l2 if chosen is None else chosen.l2[chosen.chosen].item()
    model = fit(train.X, train.Y, l2=l2, standardize=255, **options)
    reports = {name: model.evaluate(part.X, part.Y) for name, part in parts.items()}
    model.save(arguments.output)
    judged = list(parts)[-1]
    draw(model, parts[judged], f"{arguments.folder.resolve().name} ({judged})", reports[judged])
    if arguments.json:
        said = {"model": str(arguments.output), "samples": len(train.files), "size": arguments.size, "l2": l2}
        said |= {"cross_validation": None if chosen is None else _scores(chosen), "fit": as_json(model.fit_info)}
        said |= {name: as_json(report) for name, report in reports.items()}
        print(json.dumps(said | _as_entries(found.skipped)))
        return
    m, size, classes = len(train.files), arguments.size, ", ".join(found.classes)
    print(printable(f"{arguments.folder}: {m} pictures of {size} x {size} x 3, classes {classes}"))
    if chosen is not None:
        folds = len(chosen.scores["log_loss"])
        end = ", an end of what was tried: --l2 sets any" if chosen.chosen in (0, len(PENALTIES) - 1) else ""
        print(f"l2 {l2:.4g}, of the smallest log loss in cross-validation on {folds} folds{end}\n{chosen}\n")
    print(model.fit_info.summary)
    for name, report in reports.items():
        print(f"\n{name}: {report}")
    _tell(found.skipped)
    print(f"\nmodel written to {printable(str(arguments.output))}")
    if arguments.report is not None:
        print(f"report drawn in {printable(str(arguments.report))}")


def predict_pictures(arguments: argparse.Namespace) -> None:
    """Print the file, the most probable class and its probability, one line for each picture."""
    model, size = _loaded(arguments.model)
    pictures, reasons = read_pictures(arguments.pictures, size, sys.stderr.isatty())
    skipped = [Skipped(*pair) for pair in zip(arguments.pictures, reasons, strict=True) if pair[1]]
    kept = [number for number, reason in enumerate(reasons) if not reason]
    lines = []
    if kept:
        X = flatten(pictures[kept])
        probabilities = model.predict_proba(X).max(axis=0).tolist()
        labels = [str(label) for label in model.predict(X)[0].tolist()]
        lines = list(zip([str(arguments.pictures[number]) for number in kept], labels, probabilities, strict=True))
    if arguments.json:
        names = ("file", "class", "probability")
        entries = [dict(zip(names, line, strict=True)) for line in lines]
        print(json.dumps({"predictions": entries} | _as_entries(skipped)))
    else:
        for file, label, probability in lines:
            print(f"{printable(file)}\t{printable(label)}\t{probability:.4f}")
    if skipped:
        more = f", and {len(skipped) - 1} more" if len(skipped) > 1 else ""
        raise ValueError(f"{skipped[0]}{more}")


def evaluate_pictures(arguments: argparse.Namespace) -> None:
    """Print accuracy, log loss and confusion matrix of a model on a folder of pictures."""
    draw = _drawing(arguments.report)
    model, size = _loaded(arguments.model)
    found = load_folder(arguments.folder, size, strict=arguments.strict, progress=sys.stderr.isatty())
    known = {str(label): label for label in model.classes.tolist()}
    unknown = [name for name in found.classes if name not in known]
    if unknown:
        has = ", ".join(map(repr, list(known)[:8])) + (", ..." if len(known) > 8 else "")
        raise ValueError(
            f"{arguments.folder} holds the class {unknown[0]!r}, which the model does not have: it has {has}"
        )
    found = dataclasses.replace(found, Y=np.asarray([[known[name] for name in found.Y[0].tolist()]]))
    report = model.evaluate(found.X, found.Y)
    draw(model, found, arguments.folder.resolve().name, report)
    if arguments.json:
        print(json.dumps(as_json(report) | _as_entries(found.skipped)))
        return
    print(report)
    _tell(found.skipped)
    if arguments.report is not None:
        print(f"\nreport drawn in {printable(str(arguments.report))}")


def _cross_validated(train: Pictures, options: dict[str, Any]) -> Selection:
    counts = {name: int(np.sum(name == train.Y)) for name in train.classes}
    fewest = min(counts, key=lambda name: counts[name])
    if counts[fewest] < 2:
        raise ValueError(
            f"{counts[fewest]} picture of {fewest!r} to train on is too few to choose the penalty by cross-validation; "
            "add pictures, or give --l2"
        )
    return fit_cv(train.X, train.Y, PENALTIES, folds=min(FOLDS, counts[fewest]), standardize=255, **options)


def _scores(chosen: Selection) -> dict[str, Any]:
    """The penalties, the number of folds, and the mean of each score over the folds."""
    means = {name: np.mean(scores, axis=0).tolist() for name, scores in chosen.scores.items()}
    return {"l2": chosen.l2.tolist(), "folds": len(chosen.scores["log_loss"])} | means


def _loaded(path: Path) -> tuple[Model, int]:
    """Load a model of pictures; return it with the number of pixels a side."""
    model = load(path)
    n_x = model.w.shape[0]
    size = math.isqrt(n_x // 3)
    if model.feature_names is not None or n_x != 3 * size**2:
        named = " with names" if model.feature_names is not None else ""
        raise ValueError(f"{path} is no model of pictures: it has {n_x} features{named}, not size x size x 3 bytes")
    return dataclasses.replace(model, samples="columns"), size


def _drawing(path: Path | None) -> Callable[..., None]:
    """Return a function that draws the report; raise before any work is done if it could not be drawn."""
    if path is None:
        return lambda *_: None
    if path.suffix.lower() not in REPORTS:
        raise ValueError(f"{path}: a report is drawn as {', '.join(REPORTS)}")
    expect_folder(path)
    from xlogreg.cli.picture_report import draw_report  # loads matplotlib

    return lambda *drawn: draw_report(path, *drawn)


def _tell(skipped: Sequence[Skipped]) -> None:
    if skipped:
        print(f"\nskipped {len(skipped)}:")
        for entry in skipped[:MOST_LINES]:
            print(f"  {entry}")
        if len(skipped) > MOST_LINES:
            print(f"  and {len(skipped) - MOST_LINES} more, which --json shows")


def _as_entries(skipped: Sequence[Skipped]) -> dict[str, Any]:
    return {"skipped": [{"file": str(entry.file), "reason": entry.reason} for entry in skipped]}
