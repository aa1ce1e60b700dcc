"""The command line: `xlogreg demo`, `xlogreg info`. Each subcommand is one function."""

import argparse
import importlib.metadata
import os
import platform
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from xlogreg.backends import available_backends
from xlogreg.exceptions import XlogregWarning
from xlogreg.version import __version__

__all__ = ["main"]

SHOWN = ("numpy", "array-api-compat", "scipy", "scikit-learn", "matplotlib", "threadpoolctl", "tqdm")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 for an error (one line), 2 for wrong usage."""
    arguments = _parser().parse_args(argv)
    said: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("always", XlogregWarning)
        warnings.showwarning = lambda message, category, *_: _say_once(f"{category.__name__}: {message}", said)
        try:
            arguments.run(arguments)
        except ImportError as error:
            print(f"xlogreg {arguments.command} needs {error.name}: pip install 'xlogreg[demo]'", file=sys.stderr)
            return 1
        except (ValueError, TypeError, RuntimeError, OSError) as error:
            print(f"xlogreg {arguments.command}: {error}", file=sys.stderr)
            return 1
    return 0


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
    demo.add_argument("--backend", help="where to compute, such as cupy, torch or jax; NumPy without")
    demo.add_argument("--save-dir", type=Path, metavar="DIR", help="write pictures of the cost curves there")
    add("info", _info, "versions, BLAS, threads, and which backends work on this machine")
    return parser


def _adder(commands: argparse._SubParsersAction) -> Callable[..., argparse.ArgumentParser]:
    def add(name: str, run: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    return add


def _demo(arguments: argparse.Namespace) -> None:
    from xlogreg.demo import run_demo  # needs scikit-learn

    run_demo(arguments.backend, arguments.save_dir)


def _info(arguments: argparse.Namespace) -> None:
    print(f"{'xlogreg':18}{__version__}")
    print(f"{'python':18}{platform.python_version()} on {platform.platform()}, {os.cpu_count()} CPUs")
    for name in SHOWN:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            version = "not installed"
        print(f"{name:18}{version}")
    try:
        import threadpoolctl
    except ImportError:
        print(f"{'BLAS':18}unknown: threadpoolctl is not installed (pip install 'xlogreg[cli]')")
    else:
        import numpy as np

        np.ones((2, 2)) @ np.ones((2, 2))
        for pool in threadpoolctl.threadpool_info():
            build = " ".join(str(pool[key]) for key in ("internal_api", "version", "architecture") if pool.get(key))
            print(f"{pool['user_api'].upper():18}{build}, {pool['num_threads']} threads")
    print("\nbackends")
    print(available_backends())
