"""The columns that options of a command name: several in one option, also with commas between them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from xlogreg.cli.options import nearest
from xlogreg.cli.table_files import STANDARD_INPUT

__all__ = ["TYPED", "find_columns", "lacks"]

TYPED = (".parquet", ".npy", ".npz")  # files that say the types of their columns, and whose names may be numbers

MOST_NAMES = 8  # of a table's columns that an error shows


def find_columns(path: Path, columns: Sequence[str], given: Mapping[str, str | Sequence[str]]) -> dict[str, list[str]]:
    """Find the columns that options name.

    Parameters
    ----------
    path : Path
        The table, for the error.
    columns : sequence of str
        Names of its columns.
    given : mapping from str to sequence of str, or str
        For each option the words behind it: a column, or several with commas between them. A text is one column.

    Returns
    -------
    dict of list of str
        For each option the names of its columns, each once.

    Raises
    ------
    ValueError
        If the table lacks some of the columns; the message names all of these.
    """
    known = set(columns)
    found = {
        option: [words] if isinstance(words, str) else [name for word in words for name in _names(word, known)]
        for option, words in given.items()
    }
    unknown = [(name, option) for option, names in found.items() for name in names if name not in known]
    if unknown:
        raise lacks(path, columns, unknown)
    return {option: list(dict.fromkeys(names)) for option, names in found.items()}


def lacks(path: Path, columns: Sequence[str], unknown: Sequence[tuple[str, str]]) -> ValueError:
    """Error for columns that a table lacks, each with who needs it."""
    by: dict[str, list[str]] = {}
    for name, needed in dict.fromkeys(unknown):
        by.setdefault(needed, []).append(repr(name))
    said = ", ".join(f"{', '.join(names)} ({needed})" for needed, names in by.items())
    some = ", ".join(map(repr, columns[:MOST_NAMES])) + (" ..." if len(columns) > MOST_NAMES else "")
    called = "standard input" if path == STANDARD_INPUT else path
    return ValueError(f"{called} has no column {said}; it has {some}{_hint(path, columns, unknown[0][0])}")


def _hint(path: Path, columns: Sequence[str], name: str) -> str:
    """Say what may be meant by a column that a table lacks."""
    if path.suffix.lower() not in TYPED and all(map(_is_number, columns)):
        return "; these are no names: a table begins with a line that names its columns"
    lower = {column.lower(): column for column in reversed(columns)}
    return nearest(name.lower(), lower, lower)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _names(word: str, known: set[str]) -> list[str]:
    """Cut a word at its commas, unless it is the name of a column as it stands."""
    if word in known or "," not in word:
        return [word]
    return [piece for part in word.split(",") if (piece := part.strip())]
