"""Parts of a command line that several commands share: how a command is added, its errors, and types of values."""

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

__all__ = ["Add", "Parser", "adder", "in_options", "nearest", "share"]

Add = Callable[..., argparse.ArgumentParser]

EXAMPLES = {
    "demo": "xlogreg demo --save-dir pictures",
    "fit": "xlogreg fit passengers.csv --target Outcome --test-share 0.2 -o passengers.model",
    "predict": "xlogreg predict passengers.model new.csv --keep Id Name -o predictions.csv",
    "evaluate": "xlogreg evaluate passengers.model passengers.csv",
    "show": "xlogreg show passengers.model",
    "images": "xlogreg images fit photographs -o photographs.model",
    "images fit": "xlogreg images fit photographs -o photographs.model --report photographs.png",
    "images predict": "xlogreg images predict photographs.model new.jpg",
    "images list": "xlogreg images list photographs",
    "images evaluate": "xlogreg images evaluate photographs.model more_photographs",
    "info": "xlogreg info",
}
WORDS = {  # what the library calls its arguments, and what to type here
    "missing='median' or 'mean'": "--missing median or mean",
    "missing='median'": "--missing median",
    "missing='drop'": "--missing drop",
    "unseen='zeros'": "--unseen zeros",
    "use l2 > 0, or bias_reduction='firth' for two classes; xlogreg.separation(X, Y) tells what is infinite": (
        "use a penalty, such as --l2 0.001; in Python, xlogreg.separation tells what is infinite"
    ),
    "l2 > 0": "--l2 above 0",
}
CHOICE = re.compile(r"invalid choice: '(.*)' \(choose from (.*)\)$")  # an error of argparse


class Parser(argparse.ArgumentParser):
    """A parser whose errors say what may have been meant, and whose help ends with an example."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.given: list[str] = []

    def format_help(self) -> str:
        example = EXAMPLES.get(self.prog.partition(" ")[2])
        return super().format_help() + ("" if example is None else f"\nexample:\n  {example}\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self.given = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Show the usage and what is wrong, and exit with 2."""
        found = CHOICE.search(message)
        if found is not None:
            message += nearest(found[1], re.findall(r"'([^']*)'", found[2]))
        if "the following arguments are required" in message:
            message += self._swallowed()
        super().error(message)

    def refuse(self, unknown: list[str]) -> NoReturn:
        """Show the usage and the arguments that the command does not know."""
        known = [word for action in self._actions for word in action.option_strings]
        meant = next((said for word in unknown if word.startswith("-") and (said := nearest(word, known))), "")
        self.error(f"unrecognized arguments: {' '.join(unknown)}{meant}")

    def _swallowed(self) -> str:
        """Say which option took the words that were meant for something else, if one did."""
        several = {word for action in self._actions if action.nargs == "+" for word in action.option_strings}
        options = [word for word in self.given if word in several]
        if not options or self.given[-1] in options:
            return ""
        return f"; {options[-1]} takes all names that follow it, also {self.given[-1]!r}: write {options[-1]} last"


def nearest(word: str, known: Iterable[str], written: Mapping[str, str] | None = None) -> str:
    """Ask whether the most similar of some words was meant, as it is ``written``; "" if none is similar."""
    found = difflib.get_close_matches(word.partition("=")[0], list(known), n=1)
    return f"; did you mean {(written or {}).get(found[0], found[0])!r}?" if found else ""


def adder(commands: argparse._SubParsersAction) -> Callable[..., argparse.ArgumentParser]:
    def add(name: str, run: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run, parser=command)
        return command

    return add


def share(text: str) -> float:
    value = float(text)
    if not 0.0 <= value < 1.0:
        raise argparse.ArgumentTypeError(f"must be 0 or more and less than 1, not {text}")
    return value


def in_options(text: str) -> str:
    """Say a message of the library in the words of the command line."""
    for argument, option in WORDS.items():
        text = text.replace(argument, option)
    return text
