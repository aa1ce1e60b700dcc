"""The commands on tables, arrays and folders of parts: `xlogreg fit`, `predict`, `evaluate`. Rows are samples."""

import argparse
import contextlib
import dataclasses
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from xlogreg.cli.baseline import baseline
from xlogreg.cli.column_report import columns_as_json, lines_of_fit, unseen_lines
from xlogreg.cli.data import SampleFile, as_collection, open_formula, open_known, open_samples, workers_at
from xlogreg.cli.options import in_options
from xlogreg.cli.penalty import Choice, as_json_of, choose_penalty
from xlogreg.cli.preparation import Prepared
from xlogreg.cli.scaling import scale_of
from xlogreg.cli.show import dumped, formula_of, lines_of, table_of
from xlogreg.cli.table_files import expect_writable, write_table
from xlogreg.cli.whole_tables import Wishes, columns_of, unseen_in
from xlogreg.fitting.fit import fit
from xlogreg.fitting.fit_formula import fit_formula
from xlogreg.fitting.held_out import split
from xlogreg.inputs.encoding import Column, Encoding
from xlogreg.inputs.files import expect_folder, printable
from xlogreg.model.model import Model, load
from xlogreg.model.reports import Report, as_json

__all__ = ["evaluate_table", "fit_table", "predict_table"]


MOST_NAMES = 20  # of selected features that are printed
LEVEL = 0.95  # of the intervals in a summary


class Fitted(NamedTuple):
    """A model that was fitted, and what there is to say of it."""

    model: Model
    choice: Choice
    samples: SampleFile
    prepared: Prepared | None  # the columns of a table, with the rows that it was fitted to
    m: int  # samples that it was fitted to
    reports: dict[str, Report]  # by the part of the samples
    unseen: dict[str, tuple[int, list[str]]]  # categories of the part to test with that are new to the model


def fit_table(arguments: argparse.Namespace) -> None:
    """Fit a model to samples, write it, and report on it."""
    _expect_own(arguments, "output", "checkpoint")
    initial = None if arguments.initial is None else load(arguments.initial)
    samples = _opened(arguments)
    assert samples.Y is not None
    train, test = np.arange(len(samples.Y)), np.arange(0)
    if arguments.test_share is not None:
        train, test = split(samples.Y, arguments.test_share, np.random.default_rng(arguments.seed))
        samples = samples.trained_on(train)
    parts = {"train": train} | ({"test": test} if len(test) else {})
    with workers_at(arguments.dask):
        if arguments.dask is not None:
            samples = samples._replace(X=as_collection(samples.X))
        with _hinting(arguments.formula is None and _has_names(samples.X)), _resumable(arguments.checkpoint):
            model, choice = _fitted(arguments, samples, train, initial)
        if arguments.output is not None:
            model.save(arguments.output)
        reports = {name: model.evaluate(**samples.chosen(numbers)) for name, numbers in parts.items()}
    unseen = unseen_in(model, samples.prepared.frame[test]) if samples.prepared is not None and len(test) else {}
    told = _as_json if arguments.json else _tell
    prepared = None if samples.prepared is None else samples.prepared._replace(frame=samples.prepared.frame[train])
    told(arguments, Fitted(model, choice, samples, prepared, len(train), reports, unseen))


def _opened(arguments: argparse.Namespace) -> SampleFile:
    """Open the samples with their labels, which a formula may give."""
    if arguments.formula is None:
        if arguments.missing == "drop":
            raise ValueError("--missing drop leaves out rows, which only --formula can do; --missing median fills in")
        return open_samples(arguments.table, arguments.target, Wishes.of(arguments))
    names = ("categorical", "numeric", "l1_ratio", "dask", "unseen", "drop_first", "folds", "rule")
    given = [name for name in names if getattr(arguments, name) not in (None, [], False)]
    if given:
        raise ValueError(f"--{given[0].replace('_', '-')} cannot be had with --formula")
    return open_formula(arguments.table, arguments.formula, arguments.missing or "error", Wishes.of(arguments))


def _fitted(
    arguments: argparse.Namespace, samples: SampleFile, train: np.ndarray, initial: Model | None
) -> tuple[Model, Choice]:
    """Fit a model as the options say: by a formula, with a penalty that is chosen, or simply."""
    whole, chosen = samples.prepared is not None, samples.chosen(train)
    shared: dict[str, Any] = {"backend": arguments.backend, "relax": arguments.relax, "rng": arguments.seed}
    shared["verbose"] = int(sys.stderr.isatty())
    of_columns: dict[str, Any] = {
        "samples": "rows",
        "categorical_features": (samples.prepared.categories or None) if samples.prepared is not None else None,
        "missing": arguments.missing or ("median" if whole else "error"),
        "unseen": arguments.unseen or ("zeros" if whole else "error"),
        "drop": "first" if arguments.drop_first else "auto",
    }
    scale: dict[str, Any] = {"standardize": arguments.standardize}
    if arguments.standardize is None:
        squares = not arguments.l1 and arguments.l1_ratio is None
        scale = scale_of(chosen["X"], of_columns, squares) if arguments.formula is None else {"standardize": False}
    choice = choose_penalty(arguments, chosen, shared | scale | of_columns, whole, initial)
    if choice.selection is not None and (arguments.l1_ratio is not None or arguments.time_limit is not None):
        return _named(choice.selection.model, arguments, whole), choice
    if arguments.standardize is None and choice.selection is None and not (whole and choice.l1 + choice.l2 > 0.0):
        scale = {"standardize": False}
    options = shared | scale | {"l1": choice.l1, "l2": choice.l2, "initial": initial}
    options |= {"time_limit": arguments.time_limit, "checkpoint": arguments.checkpoint}
    if arguments.formula is not None:
        return fit_formula(arguments.formula, chosen["X"], offset=chosen.get("offset"), **options), choice
    return _named(fit(**chosen, **options, **of_columns), arguments, whole), choice


def _named(model: Model, arguments: argparse.Namespace, whole: bool) -> Model:
    """Note in a model of a table which column held the labels and how digits are grouped: it reads others so."""
    if not whole:
        return model
    encoding = model.encoding or Encoding(tuple(map(Column, model.feature_names or ())))
    known = {"target": arguments.target, "thousands": arguments.thousands}
    return dataclasses.replace(model, encoding=dataclasses.replace(encoding, **known))


def _as_json(arguments: argparse.Namespace, found: Fitted) -> None:
    """Print what the fit and the evaluations say as one JSON object."""
    model, samples, prepared = found.model, found.samples, found.prepared
    output = None if arguments.output is None else str(arguments.output)
    said = {"model": output, "samples": found.m, "features": model.w.shape[0], "fit": as_json(model.fit_info)}
    said |= {"l1": model.l1, "l2": model.l2, "penalty": found.choice.said, "cross_validation": as_json_of(found.choice)}
    if prepared is not None:
        columns = columns_as_json(model, prepared)
        said |= {"columns": columns, "left_out": prepared.left_out, "unseen": _unseen_as_json(found.unseen)}
    said |= {"remarks": list(samples.remarks)} if samples.remarks else {}
    said |= {"summary": lines_of(model, LEVEL)} if arguments.summary else {}
    said |= {"selected": _selected(model)} if model.l1 else {}
    print(dumped(said | {name: _judged_as_json(report) for name, report in found.reports.items()}))


def _tell(arguments: argparse.Namespace, found: Fitted) -> None:
    """Print what the fit and the evaluations say."""
    model, samples = found.model, found.samples
    width, classes = model.w.shape[0], ", ".join(map(str, model.classes.tolist()))
    print(printable(f"{arguments.table}: {found.m} samples of {width} feature{'s' * (width != 1)}, classes {classes}"))
    for line in [*samples.remarks, *([] if found.prepared is None else lines_of_fit(model, found.prepared))]:
        print(f"  {line}")
    print(found.choice.said)
    print(model.fit_info.summary)
    if model.l1:
        names = _selected(model)
        again = "" if model.relax is None else f"; fitted again with l2 = {model.relax:.4g}"
        print(f"{len(names)} of {width} features have weights, with l1 = {model.l1:.4g} and l2 = {model.l2:.4g}{again}")
        if names:
            some = f"{', '.join(names[:MOST_NAMES])}{', ...' if len(names) > MOST_NAMES else ''}"
            print(printable(f"the largest first: {some}"))
    if arguments.summary:
        print(f"\n{table_of(model, LEVEL)}")
    for name, report in found.reports.items():
        print(f"\n{name}: {report}\n{baseline(report)}")
    for line in unseen_lines(found.unseen, " to test with"):
        print(line)
    written = "-o MODEL writes the model" if arguments.output is None else f"model written to {arguments.output}"
    print(f"\n{printable(written)}")


def _judged_as_json(report: Report) -> dict[str, Any]:
    return as_json(report) | {"baseline": as_json(baseline(report))}


def _unseen_as_json(unseen: dict[str, tuple[int, list[str]]]) -> dict[str, Any]:
    return {name: {"rows": rows, "levels": levels} for name, (rows, levels) in unseen.items()}


def _selected(model: Model) -> list[str]:
    """Names of the features that have weights, the largest first."""
    size = np.max(np.abs(np.asarray(model.w)), axis=1)
    names = model.feature_names or tuple(map(str, range(len(size))))
    return [names[number] for number in np.argsort(-size, kind="stable").tolist() if size[number] > 0]


def predict_table(arguments: argparse.Namespace) -> None:
    """Write the most probable class and the probability of each, for every sample, beside the columns that are kept."""
    _expect_own(arguments, "output")
    if arguments.output is not None:
        expect_writable(arguments.output)
    model = _loaded(arguments)
    samples = open_known(arguments.table, model, None, Wishes.of(arguments))
    if arguments.keep and samples.kept is None:
        raise ValueError(f"{arguments.table}: --keep is for tables, whose columns have names")
    with _hinting(not columns_of(model) and _has_names(samples.X)):
        labels, probabilities = model.predict(samples.X, samples.offset), model.predict_proba(samples.X, samples.offset)
    columns: dict[str, Any] = {} if samples.kept is None else {part.name: part for part in samples.kept.get_columns()}
    found = {"prediction": labels}
    found |= {f"probability_{label}": probabilities[:, i] for i, label in enumerate(model.classes.tolist())}
    twice = [name for name in columns if name in found]
    if twice:
        raise ValueError(f"--keep {twice[0]}: a column of the predictions has that name; rename yours")
    write_table(columns | found, arguments.output)
    for line in [*samples.remarks, *unseen_lines(_unseen(model, samples))]:
        print(line, file=sys.stderr)


def evaluate_table(arguments: argparse.Namespace) -> None:
    """Print accuracy, log loss and confusion matrix of a model on samples whose classes are known."""
    model = _loaded(arguments)
    known = None if model.encoding is None else model.encoding.target
    target = known if arguments.target is None else arguments.target
    if target is None and formula_of(model) is None:
        raise ValueError("--target is missing: the model does not know which column holds the classes")
    samples = open_known(arguments.table, model, target, Wishes.of(arguments))
    with _hinting(not columns_of(model) and _has_names(samples.X)):
        report = model.evaluate(**samples.all)
    unseen = _unseen(model, samples)
    if arguments.json:
        said = {"unseen": _unseen_as_json(unseen), "remarks": list(samples.remarks)}
        print(dumped(_judged_as_json(report) | said))
        return
    print("\n".join([str(report), str(baseline(report)), *samples.remarks, *unseen_lines(unseen)]))


def _unseen(model: Model, samples: SampleFile) -> dict[str, tuple[int, list[str]]]:
    return unseen_in(model, samples.X) if isinstance(samples.X, pl.DataFrame) else {}


def _expect_own(arguments: argparse.Namespace, *options: str) -> None:
    """Raise, before any work is done, if a file that a command writes cannot be written, or is the table it reads."""
    for option in options:
        path = getattr(arguments, option)
        if path is None:
            continue
        expect_folder(path)
        if path.exists() and arguments.table.exists() and path.samefile(arguments.table):
            raise ValueError(f"--{option} {path} is the table itself, which it would replace; name another file")


def _loaded(arguments: argparse.Namespace) -> Model:
    model = load(arguments.model)
    if model.offset and not arguments.offset:
        raise ValueError(f"{arguments.model} was fitted with an offset: say with --offset where that of the samples is")
    return dataclasses.replace(model, samples="rows")


@contextlib.contextmanager
def _hinting(named: bool) -> Iterator[None]:
    """Say an error of the library about the columns of X in the words of the command line.

    ``named`` says whether X is a table of which --ignore can leave out any column.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        said = in_options(str(error))
        about_columns = named and "column" in said and re.search(r"\bX\b", said) is not None
        raise ValueError(f"{said} (--ignore COLUMN leaves one out)" if about_columns else said) from None


def _has_names(X: Any) -> bool:
    return isinstance(X, pl.DataFrame) or getattr(X, "names", None) is not None


@contextlib.contextmanager
def _resumable(checkpoint: Path | None) -> Iterator[None]:
    """Add to an interruption how to go on, if a checkpoint was written."""
    before = _state(checkpoint)
    try:
        yield
    except KeyboardInterrupt:
        if _state(checkpoint) == before:
            raise
        raise KeyboardInterrupt(f"interrupted; --initial {checkpoint} goes on from what was found so far") from None


def _state(path: Path | None) -> tuple[int, ...] | None:
    """Values that tell a file from the file that replaces it; None if there is no file."""
    if path is None or not path.exists():
        return None
    state = path.stat()
    return state.st_mtime_ns, state.st_ino, state.st_size
