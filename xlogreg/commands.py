"""The commands on tables: `xlogreg fit`, `predict`, `evaluate`. Rows are samples."""

import argparse
import contextlib
import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from xlogreg.datasets import read_table, without, write_table
from xlogreg.files import expect_folder
from xlogreg.fitting import fit
from xlogreg.model import Model, load
from xlogreg.partition import split
from xlogreg.reports import as_json
from xlogreg.tables import column_values

__all__ = ["evaluate_table", "fit_table", "predict_table"]


def fit_table(arguments: argparse.Namespace) -> None:
    """Fit a model to a table, write it, and report on it."""
    expect_folder(arguments.output)
    X, Y = _samples(arguments)
    numbers = np.arange(len(Y)), np.arange(0)
    if arguments.test_share is not None:
        numbers = split(Y, arguments.test_share, np.random.default_rng(arguments.seed))
    train, test = ((X[part], Y[part]) for part in numbers)
    with _hinting():
        model = fit(
            *train,
            samples="rows",
            l2=arguments.l2,
            standardize=arguments.standardize,
            backend=arguments.backend,
            rng=arguments.seed,
        )
    reports = {"train": model.evaluate(*train)} | ({"test": model.evaluate(*test)} if len(test[1]) else {})
    model.save(arguments.output)
    info = model.fit_info
    if arguments.json:
        said = {"model": str(arguments.output), "samples": len(train[1]), "features": X.width, "fit": as_json(info)}
        print(json.dumps(said | {name: as_json(report) for name, report in reports.items()}))
        return
    classes = ", ".join(map(str, model.classes.tolist()))
    print(f"{arguments.table}: {len(train[1])} samples of {X.width} features, classes {classes}")
    print(info.summary)
    for name, report in reports.items():
        print(f"\n{name}: {report}")
    print(f"\nmodel written to {arguments.output}")


def predict_table(arguments: argparse.Namespace) -> None:
    """Write the most probable class and the probability of each, for every row of a table."""
    if arguments.output is not None:
        expect_folder(arguments.output)
    model = _loaded(arguments)
    with _hinting():
        X = without(read_table(arguments.table), arguments.ignore, arguments.table)
        labels, probabilities = model.predict(X), model.predict_proba(X)
    columns = {f"probability_{label}": probabilities[:, i] for i, label in enumerate(model.classes.tolist())}
    write_table({"prediction": labels, **columns}, arguments.output)


def evaluate_table(arguments: argparse.Namespace) -> None:
    """Accuracy, log loss and confusion matrix of a model on a table."""
    model = _loaded(arguments)
    with _hinting():
        report = model.evaluate(*_samples(arguments))
    print(json.dumps(as_json(report)) if arguments.json else report)


def _samples(arguments: argparse.Namespace) -> tuple[Any, np.ndarray]:
    """The features and the target of a table."""
    frame = read_table(arguments.table)
    features = without(frame, [arguments.target, *arguments.ignore], arguments.table)
    target = frame[arguments.target]
    if target.dtype == pl.String:
        target = target.str.strip_chars().replace("", None)  # a blank cell in quotes
    try:
        return features, np.asarray(column_values(target, f"the column {arguments.target!r}"))
    except ValueError as error:
        row = target.is_null().arg_max()
        raise ValueError(f"{error}: the first is in row {row}, counted from 0") from None


def _loaded(arguments: argparse.Namespace) -> Model:
    return dataclasses.replace(load(arguments.model), samples="rows")


@contextlib.contextmanager
def _hinting() -> Iterator[None]:
    """Adds to an error what the command line can do about a column that is not wanted."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if "column" not in str(error):
            raise
        raise ValueError(f"{error} (--ignore COLUMN leaves one out)") from None
