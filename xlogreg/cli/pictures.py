"""The commands on pictures whose classes are known: `xlogreg images fit`, `evaluate`. Each class has its subfolder."""

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from xlogreg.cli.baseline import baseline
from xlogreg.cli.picture_predictions import as_entries, skipped_lines
from xlogreg.cli.picture_samples import SIZE, PictureSamples, load_picture_model, named, samples_of
from xlogreg.fitting.fit import fit
from xlogreg.fitting.fit_cv import Selection, fit_cv
from xlogreg.fitting.held_out import split
from xlogreg.images.files import find_pictures
from xlogreg.images.pictures import load_folder, read_classes
from xlogreg.inputs.files import expect_folder, printable
from xlogreg.model.reports import Report, as_json

__all__ = ["evaluate_pictures", "fit_pictures"]

PENALTIES = np.logspace(2, -4, 7)  # values of l2 to choose from, for pixels from 0 to 1, or features of variance 1
FOLDS = 5  # of the cross-validation, or fewer if a class has fewer pictures
REPORTS = (".png", ".pdf", ".svg")  # suffixes of files that a report can be drawn into
PARTS = {"train", "training", "test", "testing", "val", "valid", "validation"}  # names of parts, hardly of classes
EXPECTED = (
    "A logistic regression on pixels sees colours and where they are; it cannot see a shape that moves or turns.\n"
    "For shapes, fit it to the features of a network: --features FILE.npy, which the page on linear probes explains."
)


def fit_pictures(arguments: argparse.Namespace) -> None:
    """Fit a model to a share of the pictures, write it, and report on it and on the other share."""
    expect_folder(arguments.output)
    draw = _drawing(arguments.report)
    if arguments.features is not None and arguments.size is not None:
        raise ValueError("--size is for pixels: it says nothing about --features")
    size, path = arguments.size or SIZE, arguments.features
    found = load_folder(arguments.folder, size, strict=arguments.strict, progress=sys.stderr.isatty())
    _refuse_parts(arguments.folder, found.classes)
    samples = samples_of(found, path)
    numbers = split(found.Y[0], arguments.test_share, np.random.default_rng(arguments.seed))
    parts = {name: samples.take(part) for name, part in zip(("train", "test"), numbers, strict=True) if len(part)}
    train = parts["train"]
    options: dict[str, Any] = {"backend": arguments.backend, "rng": arguments.seed, "standardize": train.standardize}
    options["verbose"] = int(sys.stderr.isatty())
    chosen = None if arguments.l2 is not None else _cross_validated(train, options)
    l2 = arguments.l2 if chosen is None else chosen.l2[chosen.chosen].item()
    model = fit(train.X, train.Y, l2=l2, **options)
    model = model if path is None else named(model)
    reports = {name: model.evaluate(part.X, part.Y) for name, part in parts.items()}
    model.save(arguments.output)
    judged = list(parts)[-1]
    draw(model, parts[judged], f"{arguments.folder.resolve().name} ({judged})", reports[judged])
    if arguments.json:
        said = {"model": str(arguments.output), "samples": len(train.pictures.files), "features": len(model.w)}
        said |= {"size": size if path is None else None, "l2": l2}
        said |= {"cross_validation": None if chosen is None else _scores(chosen), "fit": as_json(model.fit_info)}
        said |= {name: _judged(report) for name, report in reports.items()}
        print(json.dumps(said | as_entries(found.skipped)))
        return
    m, classes = len(train.pictures.files), ", ".join(found.classes)
    of = f"of {size} x {size} x 3" if path is None else f"with {len(model.w)} features each, from {path}"
    print(printable(f"{arguments.folder}: {m} pictures {of}, classes {classes}"))
    if chosen is not None:
        _tell_choice(chosen)
    print(model.fit_info.summary)
    for name, report in reports.items():
        print(f"\n{name}: {report}\n{baseline(report)}")
    if "test" not in reports and arguments.test_share > 0:
        print(f"\nno pictures were kept for testing: no class has enough for a share of {arguments.test_share:g}")
    paragraphs = ["\n".join(skipped_lines(found.skipped)), EXPECTED if path is None else ""]
    written = {"model written to": arguments.output, "report drawn in": arguments.report}
    paragraphs.append("\n".join(f"{done} {printable(str(to))}" for done, to in written.items() if to is not None))
    print(*(f"\n{text}" for text in paragraphs if text), sep="\n")


def evaluate_pictures(arguments: argparse.Namespace) -> None:
    """Print accuracy, log loss and confusion matrix of a model on a folder of pictures."""
    draw = _drawing(arguments.report)
    model, size = load_picture_model(arguments.model, arguments.features)
    inside, skipped = find_pictures(arguments.folder)
    known = {str(label): label for label in model.classes.tolist()}
    unknown = [name for name, files in inside.items() if files and name not in known]
    if unknown:
        has = ", ".join(map(repr, list(known)[:8])) + (", ..." if len(known) > 8 else "")
        raise ValueError(
            f"{arguments.folder} holds the class {unknown[0]!r}, which the model does not have: it has {has}"
        )
    found = read_classes(inside, skipped, size, arguments.strict, sys.stderr.isatty())
    if not found.files:
        more = f" ({len(found.skipped)} skipped; the first: {found.skipped[0]})" if found.skipped else ""
        raise ValueError(f"{arguments.folder} holds no picture in a subfolder that is named as a class{more}")
    found = dataclasses.replace(found, Y=np.asarray([[known[name] for name in found.Y[0].tolist()]]))
    samples = samples_of(found, arguments.features)
    report = model.evaluate(samples.X, samples.Y)
    draw(model, samples, arguments.folder.resolve().name, report)
    if arguments.json:
        print(json.dumps(_judged(report) | as_entries(found.skipped)))
        return
    print(f"{report}\n{baseline(report)}")
    if found.skipped:
        print("", *skipped_lines(found.skipped), sep="\n")
    if arguments.report is not None:
        print(f"\nreport drawn in {printable(str(arguments.report))}")


def _refuse_parts(folder: Path, classes: tuple[str, ...]) -> None:
    """Refuse a folder of parts, each with the classes in it: a model would learn to tell train from test."""
    if {name.lower() for name in classes} <= PARTS:
        train = next((name for name in classes if name.lower().startswith("train")), classes[0])
        raise ValueError(
            f"{folder} is divided into {' and '.join(classes)}, which are no classes: "
            f"fit {folder / train}, then judge the model by `xlogreg images evaluate` on another"
        )


def _judged(report: Report) -> dict[str, Any]:
    return as_json(report) | {"baseline": as_json(baseline(report))}


def _cross_validated(train: PictureSamples, options: dict[str, Any]) -> Selection:
    counts = {name: int(np.sum(name == train.Y)) for name in train.pictures.classes}
    fewest = min(counts, key=lambda name: counts[name])
    if counts[fewest] < 2:
        raise ValueError(
            f"{counts[fewest]} picture of {fewest!r} to train on is too few to choose the penalty by cross-validation; "
            "add pictures, or give --l2"
        )
    return fit_cv(train.X, train.Y, PENALTIES, folds=min(FOLDS, counts[fewest]), **options)


def _tell_choice(chosen: Selection) -> None:
    folds, l2 = len(chosen.scores["log_loss"]), chosen.l2[chosen.chosen].item()
    end = "; it is an end of the range tried: --l2 sets any" if chosen.chosen in (0, len(PENALTIES) - 1) else ""
    print(f"penalty l2 {l2:.4g}, chosen by cross-validation on {folds} folds: the smallest log loss{end}\n{chosen}\n")


def _scores(chosen: Selection) -> dict[str, Any]:
    """The penalties, the number of folds, and the mean of each score over the folds."""
    means = {name: np.mean(scores, axis=0).tolist() for name, scores in chosen.scores.items()}
    return {"l2": chosen.l2.tolist(), "folds": len(chosen.scores["log_loss"])} | means


def _drawing(path: Path | None) -> Callable[..., None]:
    """Return a function that draws the report; raise before any work is done if it could not be drawn."""
    if path is None:
        return lambda *_: None
    if path.suffix.lower() not in REPORTS:
        raise ValueError(f"{path}: a report is drawn as {', '.join(REPORTS)}")
    expect_folder(path)
    from xlogreg.cli.picture_report import draw_report  # loads matplotlib

    return lambda *drawn: draw_report(path, *drawn)
