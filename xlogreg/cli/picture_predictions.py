"""The commands on pictures whose classes need not be known: `xlogreg images predict` and `list`."""

import argparse
import itertools
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from xlogreg.cli.picture_samples import SIZE, load_picture_model, read_features
from xlogreg.images.files import Skipped, read_blocks, walk
from xlogreg.images.pictures import flatten
from xlogreg.inputs.files import expect_folder, printable
from xlogreg.model.model import Model

__all__ = ["as_entries", "list_pictures", "predict_pictures", "skipped_lines"]

MOST_LINES = 20  # lines about skipped files; --json has all of them
TABLES = (".csv", ".parquet")  # suffixes of files that predictions can be written into


class Reading(NamedTuple):
    """Which files could be read as pictures, which are skipped, and which of the named paths gave no picture at all."""

    files: list[Path]
    skipped: list[Skipped]
    unused: list[Path]


def read_named(
    named: Sequence[Path], size: int, strict: bool, use: Callable[[np.ndarray], Any]
) -> tuple[Reading, list[Any]]:
    """Read files and folders as a user names them, in blocks.

    Parameters
    ----------
    named : sequence of Path
    size : int
        Pixels a side.
    strict : bool
        Whether a file that cannot be used is an error.
    use : callable
        Takes pictures (m, size, size, 3); only what it returns is kept.

    Returns
    -------
    reading : Reading
    used : list
        What ``use`` returned for each block.
    """
    walked = [(path, *walk(path)) for path in named]
    sources = iter([path for path, found, _ in walked for _ in found])
    files: list[Path] = []
    skipped = [entry for _, _, passed in walked for entry in passed]
    sound: set[Path] = set()
    used = []
    for block, pictures, reasons in read_blocks(
        [f for _, found, _ in walked for f in found], size, sys.stderr.isatty()
    ):
        skipped += [Skipped(*pair) for pair in zip(block, reasons, strict=True) if pair[1]]
        if strict and skipped:
            raise ValueError(str(skipped[0]))
        kept = [number for number, reason in enumerate(reasons) if not reason]
        sound |= {
            source for source, reason in zip(itertools.islice(sources, len(block)), reasons, strict=True) if not reason
        }
        files += [block[number] for number in kept]
        used += [use(pictures[kept])] if kept else []
    return Reading(files, skipped, [path for path in named if path not in sound]), used


def _complain(reading: Reading, told: bool) -> None:
    """Print what was skipped in folders, unless told; raise if a file that was named, or a folder, gave no picture."""
    reasons = {entry.file: str(entry) for entry in reversed(reading.skipped)}
    inside = [entry for entry in reading.skipped if entry.file not in reading.unused]
    for line in [] if told else skipped_lines(inside):
        print(line, file=sys.stderr)
    if reading.unused:
        more = f", and {len(reading.unused) - 1} more" if len(reading.unused) > 1 else ""
        first = reading.unused[0]
        raise ValueError(reasons.get(first, f"{first} holds no picture that can be read") + more)


def predict_pictures(arguments: argparse.Namespace) -> None:
    """Say of each picture the most probable class and its probability; a table has those of all classes."""
    output: Path | None = arguments.output
    if output is not None:
        if output.suffix not in TABLES:
            raise ValueError(f"{output}: predictions are written as {' or '.join(TABLES)}")
        expect_folder(output)
        import xlogreg.cli.table_files  # noqa: F401  needs polars: without it, stop before the work
    model, size = load_picture_model(arguments.model, arguments.features)
    reading, labels, A = _predictions(model, size, arguments)
    if output is not None and reading.files:
        _write(output, model, reading.files, labels, A)
    lines = list(zip(map(str, reading.files), labels.tolist(), np.max(A, axis=0).tolist(), strict=True))
    if arguments.json:
        names = ("file", "class", "probability")
        entries = [dict(zip(names, (file, str(label), p), strict=True)) for file, label, p in lines]
        print(json.dumps({"predictions": entries} | as_entries(reading.skipped)))
    elif output is None:
        for file, label, probability in lines:
            print(f"{printable(file)}\t{printable(str(label))}\t{probability:.4f}")
    elif reading.files:
        print(f"predictions of {len(reading.files)} pictures written to {printable(str(output))}")
    _complain(reading, arguments.json)


def list_pictures(arguments: argparse.Namespace) -> None:
    """Print the files that can be read, one in a line, in the order in which the other commands take them."""
    reading, _ = read_named(arguments.pictures, SIZE, arguments.strict, len)
    if arguments.json:
        print(json.dumps({"files": list(map(str, reading.files))} | as_entries(reading.skipped)))
    else:
        for file in reading.files:
            print(printable(str(file)))
    _complain(reading, arguments.json)


def _predictions(model: Model, size: int, arguments: argparse.Namespace) -> tuple[Reading, np.ndarray, np.ndarray]:
    """Return what was read, the most probable label of each picture (m,), and the probabilities (K, m)."""

    def predicted(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return model.predict(X)[0], model.predict_proba(X)

    pixels = arguments.features is None
    use = (lambda pictures: predicted(flatten(pictures))) if pixels else len
    reading, parts = read_named(arguments.pictures, size, arguments.strict, use)
    if not pixels:
        features = read_features(arguments.features, reading.files, reading.skipped)
        parts = [predicted(features.T)] if reading.files else []
    if not parts:
        return reading, model.classes[:0], np.zeros((len(model.classes), 0))
    return reading, np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts], axis=1)


def _write(path: Path, model: Model, files: list[Path], labels: np.ndarray, A: np.ndarray) -> None:
    from xlogreg.cli.table_files import write_table  # loads polars

    texts = [str(file).encode("utf-8", "backslashreplace").decode() for file in files]  # a name may be no text
    columns = {f"probability_{label}": A[number] for number, label in enumerate(model.classes.tolist())}
    write_table({"file": np.asarray(texts), "prediction": labels, **columns}, path)


def skipped_lines(skipped: Sequence[Skipped]) -> list[str]:
    """Return lines that name the files and the reasons; none if there is none."""
    more = [f"  and {len(skipped) - MOST_LINES} more, which --json shows"] if len(skipped) > MOST_LINES else []
    return [f"skipped {len(skipped)}:", *(f"  {entry}" for entry in skipped[:MOST_LINES]), *more] if skipped else []


def as_entries(skipped: Sequence[Skipped]) -> dict[str, Any]:
    """Return the files and the reasons for JSON."""
    return {"skipped": [{"file": str(entry.file), "reason": entry.reason} for entry in skipped]}
