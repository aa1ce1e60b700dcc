"""The arguments of the commands on tables: `xlogreg fit`, `predict`, `evaluate`, `show`."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from xlogreg.cli.options import Add, share
from xlogreg.inputs.columns import MISSING, UNSEEN

__all__ = ["add_show", "add_tables"]


TABLE: dict[str, Any] = {
    "type": Path,
    "metavar": "TABLE",
    "help": "a text table (.csv, .tsv, .txt, also .gz or .zst), .parquet, .npy, .npz, '-' for standard input, or a "
    "folder of .npy, .npz or .parquet parts; rows are samples",
}
TARGET: dict[str, Any] = {
    "metavar": "COLUMN",
    "help": "the column that holds the class of each sample; for arrays and folders also a .npy file (m,) of them",
}
MODEL: dict[str, Any] = {"type": Path, "metavar": "MODEL", "help": "a file that `xlogreg fit` or Model.save wrote"}
NAMES: dict[str, Any] = {"nargs": "+", "action": "extend", "default": [], "metavar": "COLUMN"}
IGNORE = NAMES | {"help": "leave these columns out: A B C, or A,B; write TABLE before the option"}
THOUSANDS: dict[str, Any] = {
    "metavar": "SIGN",
    "help": "the sign between groups of three digits, as in 1,000: ',', '.', ' ' or \"'\"",
}
AS_JSON: dict[str, Any] = {"action": "store_true", "help": "print one JSON object"}


def add_tables(add: Add) -> None:
    _add_fit(add("fit", _on_tables("fit_table"), "fit a model to a table and write it to a file"))

    predict = add("predict", _on_tables("predict_table"), "predict the class of each row of a table")
    predict.usage = "%(prog)s MODEL TABLE [-o FILE] [--keep COLUMN ...] [option ...]"
    predict.add_argument("model", **MODEL)
    predict.add_argument("table", **TABLE)
    said = "a .csv or .parquet; default: CSV on the screen"
    predict.add_argument("-o", "--output", type=Path, metavar="FILE", help=said)
    said = "write these columns of the table beside the predictions; write TABLE before the option"
    predict.add_argument("--keep", **NAMES, help=said)
    predict.add_argument("--ignore", **IGNORE)

    evaluate = add("evaluate", _on_tables("evaluate_table"), "judge a model on a table whose classes are known")
    evaluate.usage = "%(prog)s MODEL TABLE [--target COLUMN] [option ...]"
    evaluate.add_argument("model", **MODEL)
    evaluate.add_argument("table", **TABLE)
    also = "; left out, a model of a table or of a formula finds it"
    evaluate.add_argument("--target", **(TARGET | {"help": TARGET["help"] + also}))
    evaluate.add_argument("--ignore", **IGNORE)
    evaluate.add_argument("--json", **AS_JSON)
    for command in (predict, evaluate):
        command.add_argument("--thousands", **THOUSANDS)
        _add_offset(command)


def _add_fit(fit: argparse.ArgumentParser) -> None:
    fit.usage = "%(prog)s TABLE (--target COLUMN | --formula FORMULA) [-o MODEL] [option ...]"
    fit.add_argument("table", **TABLE)
    labels = fit.add_mutually_exclusive_group(required=True)
    labels.add_argument("--target", **TARGET)
    said = "fit the columns that a formula names, such as 'died ~ age + C(ward) + age:dose'"
    labels.add_argument("--formula", metavar="FORMULA", help=said)
    fit.add_argument("-o", "--output", type=Path, metavar="MODEL", help="write the model there")
    fit.add_argument("--test-share", type=share, metavar="SHARE", help="keep this share of each class to test with")
    fit.add_argument("--seed", type=int, default=0, help="seed of random choices, such as the samples to test with")
    fit.add_argument("--summary", action="store_true", help="print coefficients with errors, tests and odds ratios")
    fit.add_argument("--json", **AS_JSON)
    _add_columns(fit.add_argument_group("columns of the table"))
    _add_penalties(fit.add_argument_group("the penalty"))
    work = fit.add_argument_group("the work")
    work.add_argument("--backend", help="where to compute, such as cupy, torch or jax; default NumPy")
    work.add_argument("--time-limit", type=float, metavar="SECONDS", help="stop after this time, with the best so far")
    said = "write the model there every 30 seconds, and when interrupted"
    work.add_argument("--checkpoint", type=Path, metavar="FILE", help=said)
    said = "start from this model, such as a checkpoint, and take its penalty if none is given"
    work.add_argument("--initial", type=Path, metavar="MODEL", help=said)
    work.add_argument("--dask", metavar="ADDRESS", help="let the workers of this dask scheduler read and compute")


def _add_columns(columns: Any) -> None:
    columns.add_argument("--ignore", **IGNORE)
    columns.add_argument("--categorical", **NAMES, help="take these columns as categories, as text is")
    columns.add_argument("--numeric", **NAMES, help="take these columns as numbers, also identifiers")
    said = "fill in missing numbers, beside a feature that marks them, and make missing categories one of their own; "
    said += "default median for tables; drop leaves out the rows, with --formula"
    columns.add_argument("--missing", choices=[*MISSING, "drop"], help=said)
    said = "whether a category that is new in predictions is an error, or has no feature: the default for tables"
    columns.add_argument("--unseen", choices=UNSEEN, help=said)
    said = "compare categories with the first, which has no weight; default without a penalty"
    columns.add_argument("--drop-first", action="store_true", help=said)
    columns.add_argument("--thousands", **THOUSANDS)
    _add_offset(columns)


def _add_penalties(fit: Any) -> None:
    fit.add_argument("--l1", type=float, help="L1 penalty on the mean loss, which selects features")
    said = "penalty on the mean loss, 1 / (C m) of scikit-learn's C; default: chosen by cross-validation for tables, "
    fit.add_argument(
        "--l2", type=float, help=said + "0 with --formula, --summary, --checkpoint, --dask and for arrays in blocks"
    )
    said = "choose an elastic net by cross-validation; this share of the penalty, above 0 and up to 1, is L1"
    fit.add_argument("--l1-ratio", type=float, metavar="SHARE", help=said)
    said = "fit the features that L1 selects again, without L1 and with this l2, from 0 on"
    fit.add_argument("--relax", type=float, metavar="L2", help=said)
    said = "number of folds of the cross-validation; default 5"
    fit.add_argument("--folds", type=int, metavar="N", help=said)
    said = (
        "which penalty the cross-validation takes: of the best score, or the strongest within one standard error of it"
    )
    fit.add_argument("--rule", choices=["best", "one-standard-error"], help=said + "; default best")
    said = "let a penalty measure all features, or none, by their standard deviations; default for tables: numbers by "
    said += "these, and categories as 0 and 1"
    fit.add_argument("--standardize", action=argparse.BooleanOptionalAction, help=said)


def _add_offset(command: Any) -> None:
    said = (
        "a column of numbers that are added to the scores of the samples, and are no feature; repeated for each class, "
        "in their order, if there are more than two; for arrays and folders a .npy file (m,), or (m, K)"
    )
    command.add_argument("--offset", action="append", default=[], metavar="COLUMN", help=said)


def add_show(add: Add) -> None:
    show = add("show", _show, "what a model has learned: coefficients, errors, tests, and what its fit says of itself")
    show.add_argument("model", **MODEL)
    show.add_argument("--level", type=float, default=0.95, help="coverage of the intervals; default 0.95")
    show.add_argument("--json", **AS_JSON)


def _on_tables(name: str) -> Callable[[argparse.Namespace], None]:
    def run(arguments: argparse.Namespace) -> None:
        from xlogreg.cli import tables  # needs polars

        getattr(tables, name)(arguments)

    return run


def _show(arguments: argparse.Namespace) -> None:
    from xlogreg.cli.show import show_model

    show_model(arguments)
