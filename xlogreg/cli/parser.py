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
from collections.abc import Sequence
from pathlib import Path

from xlogreg.arrays.place import available_backends
from xlogreg.cli.options import Parser, adder, in_options
from xlogreg.cli.picture_options import add_pictures
from xlogreg.cli.table_options import add_show, add_tables
from xlogreg.exceptions import XlogregWarning, lacks_memory
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
    "polars": "cli",
}  # the extra that has a missing package, or that a command needs; otherwise it is "cli"
# packages whose versions `info` prints
SHOWN = ("numpy", "array-api-compat", "polars", "scipy", "scikit-learn", "matplotlib", "threadpoolctl", "tqdm")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Return the exit code: 0, or 1 for an error (one line). Wrong usage exits with 2."""
    arguments, unknown = _parser().parse_known_args(argv)
    if unknown:
        arguments.parser.refuse(unknown)
    said: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("always", XlogregWarning)
        warnings.showwarning = lambda message, category, *_: _say_once(
            f"{category.__name__}: {in_options(str(message))}", said
        )
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
    text = printable(in_options(" ".join(str(error).split())))
    if isinstance(error, MemoryError) and not text.startswith("out of memory"):
        return f"out of memory: {text}".removesuffix(": ")
    return text or type(error).__name__


def _say_once(text: str, said: set[str]) -> None:
    if text not in said:
        said.add(text)
        print(text, file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="xlogreg", description="Logistic regression on any array library.")
    parser.add_argument("--version", action="version", version=f"xlogreg {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add = adder(commands)
    demo = add("demo", _demo, "train and judge classifiers on real data: gradient descent beside the default solver")
    demo.add_argument("--backend", help="where to compute, such as cupy, torch or jax; default NumPy")
    demo.add_argument("--save-dir", type=Path, metavar="DIR", help="write pictures of the cost curves there")
    add_tables(add)
    add_show(add)
    text = "learn from a folder of pictures, one subfolder for each class"
    pictures = commands.add_parser("images", help=text, description=text)
    add_pictures(adder(pictures.add_subparsers(dest="action", required=True, metavar="COMMAND")))
    add("info", _info, "versions, BLAS, threads, and which backends work on this machine")
    return parser


def _demo(arguments: argparse.Namespace) -> None:
    from xlogreg.cli.demo import run_demo  # needs scikit-learn

    run_demo(arguments.backend, arguments.save_dir)


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
