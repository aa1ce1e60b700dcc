"""The arguments of the commands on pictures: `xlogreg images fit`, `predict`, `evaluate`."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from xlogreg.cli.options import Add, share

__all__ = ["add_pictures"]


def add_pictures(add: Add) -> None:
    model: dict[str, Any] = {"type": Path, "metavar": "MODEL", "help": "a file that `xlogreg images fit` wrote"}
    folder: dict[str, Any] = {"type": Path, "metavar": "DIR", "help": "one subfolder for each class, pictures in it"}
    strict: dict[str, Any] = {"action": "store_true", "help": "stop at a file that cannot be used"}
    as_json: dict[str, Any] = {"action": "store_true", "help": "print one JSON object"}
    report: dict[str, Any] = {
        "type": Path,
        "metavar": "FILE",
        "help": "draw the worst mistakes, the weights and the confusion matrix: .png, .pdf or .svg",
    }

    fit = add("fit", _on_pictures("fit_pictures"), "fit a model to a folder of pictures and write it to a file")
    fit.add_argument("folder", **folder)
    fit.add_argument("-o", "--output", type=Path, required=True, metavar="MODEL", help="write the model there")
    fit.add_argument("--size", type=_size, default=64, help="scale pictures to this many pixels a side; default 64")
    fit.add_argument(
        "--test-share", type=share, default=0.2, metavar="SHARE", help="keep this share of each class; default 0.2"
    )
    fit.add_argument("--l2", type=float, help="penalty on the mean loss; default: chosen by cross-validation")
    fit.add_argument("--backend", help="where to compute, such as cupy, torch or jax; default NumPy")
    fit.add_argument("--seed", type=int, default=0, help="seed of random choices, such as test pictures and folds")
    fit.add_argument("--strict", **strict)
    fit.add_argument("--report", **report)
    fit.add_argument("--json", **as_json)

    predict = add("predict", _on_pictures("predict_pictures"), "the class of each picture, and its probability")
    predict.add_argument("model", **model)
    predict.add_argument(
        "pictures", type=Path, nargs="+", metavar="PICTURE", help="a PNG, JPEG, BMP, GIF, WebP or TIFF"
    )
    predict.add_argument("--json", **as_json)

    evaluate = add("evaluate", _on_pictures("evaluate_pictures"), "judge a model on a folder of pictures")
    evaluate.add_argument("model", **model)
    evaluate.add_argument("folder", **folder)
    evaluate.add_argument("--strict", **strict)
    evaluate.add_argument("--report", **report)
    evaluate.add_argument("--json", **as_json)


def _on_pictures(name: str) -> Callable[[argparse.Namespace], None]:
    def run(arguments: argparse.Namespace) -> None:
        from xlogreg.cli import pictures  # loads packages that only pictures need

        getattr(pictures, name)(arguments)

    return run


def _size(text: str) -> int:
    if (size := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {text}")
    return size
