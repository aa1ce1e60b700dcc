"""The commands on tables, arrays and folders of parts: `xlogreg fit`, `predict`, `evaluate`. Rows are samples."""

import argparse
import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from xlogreg.cli.data import SampleFile, as_collection, open_features, open_formula, open_samples, workers_at
from xlogreg.cli.show import formula_of, lines_of, table_of
from xlogreg.cli.table_files import write_table
from xlogreg.fitting.fit import fit
from xlogreg.fitting.fit_cv import fit_cv
from xlogreg.fitting.fit_formula import fit_formula
from xlogreg.fitting.held_out import split
from xlogreg.inputs.files import expect_folder
from xlogreg.model.model import Model, load
from xlogreg.model.reports import Report, as_json

__all__ = ["evaluate_table", "fit_table", "predict_table"]


MOST_NAMES = 20  # of selected features that are printed
LEVEL = 0.95  # of the intervals in a summary
SELECTING = 1e-7  # relative gap of the fits of a cross-validation
TREATED = ", --categorical COLUMN takes one as categories, --missing fills in values"  # ways to treat a column


def fit_table(arguments: argparse.Namespace) -> None:
    """Fit a model to samples, write it, and report on it."""
    for path in filter(None, (arguments.output, arguments.checkpoint)):
        expect_folder(path)
    initial = None if arguments.initial is None else load(arguments.initial)
    samples = _opened(arguments)
    train, test = np.arange(len(samples.Y)), np.arange(0)
    if arguments.test_share is not None:
        train, test = split(samples.Y, arguments.test_share, np.random.default_rng(arguments.seed))
    parts = {"train": train} | ({"test": test} if len(test) else {})
    with workers_at(arguments.dask):
        if arguments.dask is not None:
            samples = samples._replace(X=as_collection(samples.X))
        with _hinting(TREATED, arguments.formula), _resumable(arguments.checkpoint):
            model = _fitted(arguments, samples.chosen(train), initial)
        model.save(arguments.output)
        reports = {name: model.evaluate(**samples.chosen(numbers)) for name, numbers in parts.items()}
    _report(arguments, model, len(train), reports)


def _opened(arguments: argparse.Namespace) -> SampleFile:
    """Open the samples with their labels, which a formula may give."""
    if arguments.formula is None:
        return open_samples(arguments.table, arguments.target, arguments.ignore, arguments.offset)
    given = [name for name in ("categorical", "l1_ratio", "dask") if getattr(arguments, name) not in (None, [])]
    given += ["unseen"] if arguments.unseen != "error" else []
    if given:
        raise ValueError(f"--{given[0].replace('_', '-')} cannot be had with --formula")
    return open_formula(arguments.table, arguments.formula, arguments.ignore, arguments.missing, arguments.offset)


def _fitted(arguments: argparse.Namespace, samples: dict[str, Any], initial: Model | None) -> Model:
    """Fit a model as the options say: by a formula, with a penalty that is chosen, or simply."""
    options: dict[str, Any] = {
        "standardize": arguments.standardize,
        "backend": arguments.backend,
        "relax": arguments.relax,
        "rng": arguments.seed,
    }
    of_columns: dict[str, Any] = {
        "samples": "rows",
        "categorical_features": arguments.categorical or None,
        "missing": arguments.missing,
        "unseen": arguments.unseen,
    }
    if arguments.l1_ratio is not None:
        return _chosen(arguments, samples, options | of_columns)
    if arguments.folds is not None or arguments.rule is not None:
        name = "folds" if arguments.rule is None else "rule"
        raise ValueError(f"--{name} is for the cross-validation that --l1-ratio asks for")
    options |= {"l1": arguments.l1 or 0.0, "l2": arguments.l2 or 0.0, "initial": initial}
    options |= {"time_limit": arguments.time_limit, "checkpoint": arguments.checkpoint}
    if arguments.formula is not None:
        return fit_formula(arguments.formula, samples["X"], offset=samples.get("offset"), **options)
    return fit(**samples, **options, **of_columns)


def _report(arguments: argparse.Namespace, model: Model, m: int, reports: dict[str, Report]) -> None:
    """Print what the fit and the evaluations say."""
    info, width = model.fit_info, model.w.shape[0]
    if arguments.json:
        said = {"model": str(arguments.output), "samples": m, "features": width, "fit": as_json(info)}
        said |= {"summary": lines_of(model, LEVEL)} if arguments.summary else {}
        said |= {"l1": model.l1, "l2": model.l2, "selected": _selected(model)} if model.l1 else {}
        print(json.dumps(said | {name: as_json(report) for name, report in reports.items()}))
        return
    classes = ", ".join(map(str, model.classes.tolist()))
    print(f"{arguments.table}: {m} samples of {width} features, classes {classes}")
    print(info.summary)
    if model.l1:
        names = _selected(model)
        again = "" if model.relax is None else f"; fitted again with l2 = {model.relax:.4g}"
        print(f"{len(names)} of {width} features have weights, with l1 = {model.l1:.4g} and l2 = {model.l2:.4g}{again}")
        if names:
            print(f"the largest first: {', '.join(names[:MOST_NAMES])}{', ...' if len(names) > MOST_NAMES else ''}")
    if arguments.summary:
        print(f"\n{table_of(model, LEVEL)}")
    for name, report in reports.items():
        print(f"\n{name}: {report}")
    print(f"\nmodel written to {arguments.output}")


def _chosen(arguments: argparse.Namespace, samples: dict[str, Any], options: dict[str, Any]) -> Model:
    """Choose the strength of an elastic net by cross-validation."""
    given = [name for name in ("l1", "l2", "initial", "time_limit", "checkpoint", "dask") if getattr(arguments, name)]
    if given:
        name = given[0].replace("_", "-")
        raise ValueError(f"--l1-ratio chooses the penalty by cross-validation, which cannot be had with --{name}")
    options["folds"] = 5 if arguments.folds is None else arguments.folds
    options |= {"rule": (arguments.rule or "best").replace("-", " "), "l1_ratio": arguments.l1_ratio}
    return fit_cv(**samples, **options, penalties="auto", tol=SELECTING).model


def _selected(model: Model) -> list[str]:
    """Names of the features that have weights, the largest first."""
    size = np.max(np.abs(np.asarray(model.w)), axis=1)
    names = model.feature_names or tuple(map(str, range(len(size))))
    return [names[number] for number in np.argsort(-size, kind="stable").tolist() if size[number] > 0]


def predict_table(arguments: argparse.Namespace) -> None:
    """Write the most probable class and the probability of each, for every sample."""
    if arguments.output is not None:
        expect_folder(arguments.output)
    model = _loaded(arguments)
    with _hinting():
        named = model.feature_names is not None
        X, offset = open_features(arguments.table, arguments.ignore, named, arguments.offset)
        labels, probabilities = model.predict(X, offset), model.predict_proba(X, offset)
    columns = {f"probability_{label}": probabilities[:, i] for i, label in enumerate(model.classes.tolist())}
    write_table({"prediction": labels, **columns}, arguments.output)


def evaluate_table(arguments: argparse.Namespace) -> None:
    """Print accuracy, log loss and confusion matrix of a model on samples whose classes are known."""
    model = _loaded(arguments)
    if arguments.target is None and formula_of(model) is None:
        raise ValueError("--target is missing: the model was fitted without a formula, which would say the labels")
    with _hinting():
        if arguments.target is None:
            features, known = open_features(arguments.table, arguments.ignore, True, arguments.offset)
            report = model.evaluate(features, offset=known)
        else:
            samples = open_samples(arguments.table, arguments.target, arguments.ignore, arguments.offset)
            report = model.evaluate(**samples.all)
    print(json.dumps(as_json(report)) if arguments.json else report)


def _loaded(arguments: argparse.Namespace) -> Model:
    model = load(arguments.model)
    if model.offset and not arguments.offset:
        raise ValueError(f"{arguments.model} was fitted with an offset: say with --offset where that of the samples is")
    return dataclasses.replace(model, samples="rows")


@contextlib.contextmanager
def _hinting(also: str = "", formula: str | None = None) -> Iterator[None]:
    """Add to an error about a column how the command line leaves a column out, and what else it can do."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if "column" not in str(error):
            raise
        if formula is not None:
            raise ValueError(str(error).replace("missing='drop'", "--missing drop")) from None
        raise ValueError(f"{error} (--ignore COLUMN leaves one out{also})") from None


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
