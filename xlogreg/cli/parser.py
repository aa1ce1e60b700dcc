"""The command line: `xlogreg fit`, `predict`, `evaluate`, `show`, `images`, `demo`, `info`.

A subcommand is one function.
"""

import argparse
import importlib.metadata
import os
import platform
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from xlogreg.arrays.place import available_backends
from xlogreg.exceptions import XlogregWarning, lacks_memory
from xlogreg.inputs.columns import MISSING, UNSEEN
from xlogreg.inputs.files import printable
from xlogreg.version import __version__

__all__ = ["main"]

EXTRAS = {
    "demo": "demo",
    "images": "images",
    "matplotlib": "plots",
    "distributed": "dask",
    "formulaic": "formula",
    "pyarrow": "parquet",
}  # the extra that has a missing package, or that a command needs; otherwise it is "cli"
# packages whose versions `info` prints
SHOWN = ("numpy", "array-api-compat", "polars", "scipy", "scikit-learn", "matplotlib", "threadpoolctl", "tqdm")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Return the exit code: 0, or 1 for an error (one line). Wrong usage exits with 2."""
    arguments = _parser().parse_args(argv)
    said: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("always", XlogregWarning)
        warnings.showwarning = lambda message, category, *_: _say_once(f"{category.__name__}: {message}", said)
        try:
            arguments.run(arguments)
            sys.stdout.flush()
        except ImportError as error:
            if lacks_memory(error):
                print(f"xlogreg {arguments.command}: out of memory: {_line(error)}", file=sys.stderr)
                return 1
            extra = EXTRAS.get(str(error.name).partition(".")[0], EXTRAS.get(arguments.command, "cli"))
            lacking = f" needs {error.name}" if error.name else f": {_line(error)}"  # some libraries give no name
            print(f"xlogreg {arguments.command}{lacking}: pip install 'xlogreg[{extra}]'", file=sys.stderr)
            return 1
        except BrokenPipeError:
            # the reader closed the pipe; point stdout at /dev/null so that the interpreter does not fail again on exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except KeyboardInterrupt as interruption:
            if argv is None:  # the process ends, and polars sends the interrupt a second time
                try:
                    signal.signal(signal.SIGINT, signal.SIG_IGN)
                except KeyboardInterrupt:
                    signal.signal(signal.SIGINT, signal.SIG_IGN)
            print(f"xlogreg {arguments.command}: {str(interruption) or 'interrupted'}", file=sys.stderr)
            return 1
        except (ValueError, TypeError, RuntimeError, OSError, MemoryError) as error:
            print(f"xlogreg {arguments.command}: {_line(error)}", file=sys.stderr)
            return 1
    return 0


def _line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return printable(" ".join(f"{error.filename}: {error.strerror}".split()))
    text = printable(" ".join(str(error).split()))
    if isinstance(error, MemoryError) and not text.startswith("out of memory"):
        return f"out of memory: {text}".removesuffix(": ")
    return text or type(error).__name__


def _say_once(text: str, said: set[str]) -> None:
    if text not in said:
        said.add(text)
        print(text, file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="xlogreg", description="Logistic regression on any array library.")
    parser.add_argument("--version", action="version", version=f"xlogreg {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add = _adder(commands)
    demo = add("demo", _demo, "train and judge classifiers on real data: gradient descent beside the default solver")
    demo.add_argument("--backend", help="where to compute, such as cupy, torch or jax; default NumPy")
    demo.add_argument("--save-dir", type=Path, metavar="DIR", help="write pictures of the cost curves there")
    _add_tables(add)
    _add_show(add)
    text = "learn from a folder of pictures, one subfolder for each class"
    pictures = commands.add_parser("images", help=text, description=text)
    _add_pictures(_adder(pictures.add_subparsers(dest="action", required=True, metavar="COMMAND")))
    add("info", _info, "versions, BLAS, threads, and which backends work on this machine")
    return parser


def _add_penalties(fit: Any) -> None:
    fit.add_argument("--l1", type=float, help="L1 penalty on the mean loss, which selects features; default 0")
    fit.add_argument("--l2", type=float, help="penalty on the mean loss, 1 / (C m) of scikit-learn's C; default 0")
    said = "choose an elastic net by cross-validation, of which this share, from 0 to 1, is L1"
    fit.add_argument("--l1-ratio", type=float, metavar="SHARE", help=said)
    said = "fit the features that L1 selects again, without L1 and with this l2, from 0 on"
    fit.add_argument("--relax", type=float, metavar="L2", help=said)
    said = "number of folds of the cross-validation; default 5"
    fit.add_argument("--folds", type=int, metavar="N", help=said)
    said = (
        "which penalty the cross-validation takes: of the best score, or the strongest within one standard error of it"
    )
    fit.add_argument("--rule", choices=["best", "one-standard-error"], help=said + "; default best")


def _add_tables(add: Callable[..., argparse.ArgumentParser]) -> None:
    table: dict[str, Any] = {
        "type": Path,
        "metavar": "TABLE",
        "help": "a .csv, .parquet, .npy or .npz file, or a folder of .npy, .npz or .parquet parts; rows are samples",
    }
    target: dict[str, Any] = {
        "metavar": "COLUMN",
        "help": "the column that holds the class of each sample; for arrays and folders also a .npy file (m,) of them",
    }
    ignore: dict[str, Any] = {
        "action": "append",
        "default": [],
        "metavar": "COLUMN",
        "help": "leave this column out; may be repeated",
    }
    as_json: dict[str, Any] = {"action": "store_true", "help": "print one JSON object"}

    fit = add("fit", _on_tables("fit_table"), "fit a model to a table and write it to a file")
    fit.add_argument("table", **table)
    labels = fit.add_mutually_exclusive_group(required=True)
    labels.add_argument("--target", **target)
    said = "fit the columns that a formula names, such as 'died ~ age + C(ward) + age:dose'"
    labels.add_argument("--formula", metavar="FORMULA", help=said)
    fit.add_argument("-o", "--output", type=Path, required=True, metavar="MODEL", help="write the model there")
    fit.add_argument("--ignore", **ignore)
    taken: dict[str, Any] = {"action": "append", "default": [], "metavar": "COLUMN"}
    fit.add_argument("--categorical", help="take this column as categories; may be repeated", **taken)
    said = "fill in missing numbers beside a feature that tells where; missing categories become a level"
    said += "; drop leaves out the rows, with --formula"
    fit.add_argument("--missing", choices=[*MISSING, "drop"], default="error", help=said)
    said = "whether a level that is new in predictions is an error, or has no feature"
    fit.add_argument("--unseen", choices=UNSEEN, default="error", help=said)
    _add_penalties(fit)
    fit.add_argument("--standardize", action="store_true", help="fit on features of zero mean and unit variance")
    fit.add_argument("--backend", help="where to compute, such as cupy, torch or jax; default NumPy")
    fit.add_argument("--test-share", type=_share, metavar="SHARE", help="keep this share of each class to test with")
    fit.add_argument("--seed", type=int, default=0, help="seed of random choices, such as the samples to test with")
    fit.add_argument("--time-limit", type=float, metavar="SECONDS", help="stop after this time, with the best so far")
    fit.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="write the model there every 30 seconds, and when interrupted"
    )
    fit.add_argument("--dask", metavar="ADDRESS", help="let the workers of this dask scheduler read and compute")
    fit.add_argument("--initial", type=Path, metavar="MODEL", help="start from this model, such as a checkpoint")
    fit.add_argument("--summary", action="store_true", help="print coefficients with errors, tests and odds ratios")
    fit.add_argument("--json", **as_json)

    predict = add("predict", _on_tables("predict_table"), "predict the class of each row of a table")
    predict.add_argument("model", type=Path, metavar="MODEL", help="a file that `xlogreg fit` or Model.save wrote")
    predict.add_argument("table", **table)
    predict.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="a .csv or .parquet; default: CSV on the screen"
    )
    predict.add_argument("--ignore", **ignore)

    evaluate = add("evaluate", _on_tables("evaluate_table"), "judge a model on a table whose classes are known")
    evaluate.add_argument("model", type=Path, metavar="MODEL", help="a file that `xlogreg fit` or Model.save wrote")
    evaluate.add_argument("table", **table)
    also = "; left out, a model of a formula finds it"
    evaluate.add_argument("--target", **(target | {"help": target["help"] + also}))
    evaluate.add_argument("--ignore", **ignore)
    evaluate.add_argument("--json", **as_json)
    for command in (fit, predict, evaluate):
        _add_offset(command)


def _add_offset(command: argparse.ArgumentParser) -> None:
    said = (
        "a column of numbers that are added to the scores of the samples, and are no feature; repeated for each class, "
        "in their order, if there are more than two; for arrays and folders a .npy file (m,), or (m, K)"
    )
    command.add_argument("--offset", action="append", default=[], metavar="COLUMN", help=said)


def _add_show(add: Callable[..., argparse.ArgumentParser]) -> None:
    show = add("show", _show, "what a model has learned: coefficients, errors, tests, and what its fit says of itself")
    show.add_argument("model", type=Path, metavar="MODEL", help="a file that `xlogreg fit` or Model.save wrote")
    show.add_argument("--level", type=float, default=0.95, help="coverage of the intervals; default 0.95")
    show.add_argument("--json", action="store_true", help="print one JSON object")


def _add_pictures(add: Callable[..., argparse.ArgumentParser]) -> None:
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
        "--test-share", type=_share, default=0.2, metavar="SHARE", help="keep this share of each class; default 0.2"
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


def _on_tables(name: str) -> Callable[[argparse.Namespace], None]:
    def run(arguments: argparse.Namespace) -> None:
        from xlogreg.cli import tables  # needs polars

        getattr(tables, name)(arguments)

    return run


def _share(text: str) -> float:
    share = float(text)
    if not 0.0 <= share < 1.0:
        raise argparse.ArgumentTypeError(f"must be 0 or more and less than 1, not {text}")
    return share


def _size(text: str) -> int:
    if (size := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {text}")
    return size


def _adder(commands: argparse._SubParsersAction) -> Callable[..., argparse.ArgumentParser]:
    def add(name: str, run: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    return add


def _demo(arguments: argparse.Namespace) -> None:
    from xlogreg.cli.demo import run_demo  # needs scikit-learn

    run_demo(arguments.backend, arguments.save_dir)


def _show(arguments: argparse.Namespace) -> None:
    from xlogreg.cli.show import show_model

    show_model(arguments)


def _info(arguments: argparse.Namespace) -> None:
    import numpy as np
    import threadpoolctl  # slow to load

    print(f"{'xlogreg':18}{__version__}")
    print(f"{'python':18}{platform.python_version()} on {platform.platform()}, {os.cpu_count()} CPUs")
    for name in SHOWN:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            version = "not installed"
        print(f"{name:18}{version}")
    np.ones((2, 2)) @ np.ones((2, 2))  # some libraries load their BLAS only at the first product
    for pool in threadpoolctl.threadpool_info():
        build = " ".join(str(pool[key]) for key in ("internal_api", "version", "architecture") if pool.get(key))
        print(f"{pool['user_api'].upper():18}{build}, {pool['num_threads']} threads")
    print("\nbackends")
    print(available_backends())
