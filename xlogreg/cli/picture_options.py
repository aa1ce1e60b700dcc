"""The arguments of the commands on pictures: `xlogreg images fit`, `predict`, `evaluate`, `list`."""

import argparse
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from xlogreg.cli.options import Add, share

__all__ = ["add_pictures"]


# arguments that several commands share
MODEL: dict[str, Any] = {"type": Path, "metavar": "MODEL", "help": "a file that `xlogreg images fit` wrote"}
FOLDER: dict[str, Any] = {"type": Path, "metavar": "DIR", "help": "one subfolder for each class, pictures in it"}
STRICT: dict[str, Any] = {"action": "store_true", "help": "stop at a file that cannot be used"}
JSON: dict[str, Any] = {"action": "store_true", "help": "print one JSON object"}
REPORT: dict[str, Any] = {
    "type": Path,
    "metavar": "FILE",
    "help": "draw the worst mistakes, the weights and the confusion matrix: .png, .pdf or .svg",
}

FEATURES: dict[str, Any] = {
    "type": Path,
    "metavar": "FILE.npy",
    "help": "features (m, n) in place of the pixels, such as those of a network: a row for each file that "
    "`xlogreg images list` prints, in that order",
}
PICTURES: dict[str, Any] = {
    "type": Path,
    "nargs": "+",
    "metavar": "PATH",
    "help": "a picture (PNG, JPEG, BMP, GIF, WebP, TIFF, HEIC), or a folder that is searched for pictures",
}


def add_pictures(add: Add) -> None:
    _add_fit(add)
    predict = add("predict", _on_pictures("picture_predictions", "predict_pictures"), "the class of each picture")
    predict.add_argument("model", **MODEL)
    predict.add_argument("pictures", **PICTURES)
    predict.add_argument("--features", **FEATURES)
    predict.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write all probabilities there: .csv or .parquet"
    )
    predict.add_argument("--strict", **STRICT)
    predict.add_argument("--json", **JSON)

    evaluate = add("evaluate", _on_pictures("pictures", "evaluate_pictures"), "judge a model on a folder of pictures")
    evaluate.add_argument("model", **MODEL)
    evaluate.add_argument("folder", **FOLDER)
    evaluate.add_argument("--features", **FEATURES)
    evaluate.add_argument("--strict", **STRICT)
    evaluate.add_argument("--report", **REPORT)
    evaluate.add_argument("--json", **JSON)

    listed = add(
        "list", _on_pictures("picture_predictions", "list_pictures"), "the pictures that can be read, in order"
    )
    listed.add_argument("pictures", **PICTURES)
    listed.add_argument("--strict", **STRICT)
    listed.add_argument("--json", **JSON)


def _add_fit(add: Add) -> None:
    fit = add("fit", _on_pictures("pictures", "fit_pictures"), "fit a model to a folder of pictures and write it")
    fit.epilog = (
        "A logistic regression on pixels sees colours and where they are; it cannot see a shape that moves or turns. "
        "For shapes, give the features of a network by --features."
    )
    fit.add_argument("folder", **FOLDER)
    fit.add_argument("-o", "--output", type=Path, required=True, metavar="MODEL", help="write the model there")
    fit.add_argument("--size", type=_size, help="scale pictures to this many pixels a side; default 64")
    fit.add_argument("--features", **FEATURES)
    fit.add_argument(
        "--test-share", type=share, default=0.2, metavar="SHARE", help="keep this share of each class; default 0.2"
    )
    fit.add_argument("--l2", type=float, help="penalty on the mean loss; default: chosen by cross-validation")
    fit.add_argument("--backend", help="where to compute, such as cupy, torch or jax; default NumPy")
    fit.add_argument("--seed", type=int, default=0, help="seed of random choices, such as test pictures and folds")
    fit.add_argument("--strict", **STRICT)
    fit.add_argument("--report", **REPORT)
    fit.add_argument("--json", **JSON)


def _on_pictures(module: str, name: str) -> Callable[[argparse.Namespace], None]:
    def run(arguments: argparse.Namespace) -> None:
        # loads packages that only pictures need
        getattr(importlib.import_module(f"xlogreg.cli.{module}"), name)(arguments)

    return run


def _size(text: str) -> int:
    if (size := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {text}")
    return size
