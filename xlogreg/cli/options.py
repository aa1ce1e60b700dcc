"""Parts of a command line that several commands share: how a command is added, and types of values."""

import argparse
from collections.abc import Callable

__all__ = ["Add", "adder", "share"]

Add = Callable[..., argparse.ArgumentParser]


def adder(commands: argparse._SubParsersAction) -> Callable[..., argparse.ArgumentParser]:
    def add(name: str, run: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    return add


def share(text: str) -> float:
    value = float(text)
    if not 0.0 <= value < 1.0:
        raise argparse.ArgumentTypeError(f"must be 0 or more and less than 1, not {text}")
    return value
