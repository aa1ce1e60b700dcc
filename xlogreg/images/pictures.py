"""Load pictures into memory, and turn them into columns of numbers and back."""

import dataclasses
import math
import numbers
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xlogreg.arrays.place import Array, array_namespace, is_array
from xlogreg.exceptions import expect_memory
from xlogreg.images.files import Skipped, find_pictures, read_pictures
from xlogreg.inputs.files import IrregularFileError, open_regular, printable

__all__ = ["Pictures", "Skipped", "flatten", "load_folder", "load_h5", "read_classes", "unflatten"]


@dataclass(frozen=True, eq=False, repr=False)
class Pictures:
    """Pictures with their labels: ``fit(found.X, found.Y, standardize=255)``.

    Attributes
    ----------
    pictures : ndarray (m, h, w, 3), uint8
    Y : ndarray (1, m) of str
        The class of each picture.
    files : tuple of Path (m,)
        The file of each picture.
    classes : tuple of str (K,)
        The names of the classes, in order.
    skipped : tuple of Skipped
        The files that are not used, each with its `file` and the `reason`.
    """

    pictures: np.ndarray
    Y: np.ndarray
    files: tuple[Path, ...]
    classes: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()

    @property
    def X(self) -> np.ndarray:
        """The pictures as columns (h w 3, m), without a copy."""
        return flatten(self.pictures)

    def __repr__(self) -> str:
        m, h, w, _ = self.pictures.shape
        counts = ", ".join(f"{int(np.sum(name == self.Y))} {name!r}" for name in self.classes[:6])
        more = f", ... {len(self.classes)} classes" if len(self.classes) > 6 else ""
        return f"Pictures({m} of {h} x {w}: {counts}{more}; {len(self.skipped)} skipped)"

    def take(self, chosen: np.ndarray) -> "Pictures":
        """Copy some of the pictures, chosen by number."""
        files = tuple(self.files[number] for number in chosen.tolist())
        return dataclasses.replace(self, pictures=self.pictures[chosen], Y=self.Y[:, chosen], files=files)


def flatten(pictures: Any) -> Array:
    """Turn samples of any shape into columns, ``pictures.reshape(m, -1).T`` (notes 2.9).

    Parameters
    ----------
    pictures : array (m, h, w, c), or (m, ...)
        An array of any library.

    Returns
    -------
    array (h w c, m)
        Not copied if the library and the layout allow it. Each sample is contiguous, which suits `fit` best.

    Examples
    --------
    >>> import numpy as np
    >>> flatten(np.zeros((209, 64, 64, 3), dtype=np.uint8)).shape
    (12288, 209)
    """
    pictures = pictures if is_array(pictures) else np.asarray(pictures)
    if pictures.ndim < 2:
        raise ValueError(f"pictures must have the shape (m, h, w, c), one sample each; got {tuple(pictures.shape)}")
    xp = array_namespace(pictures)
    m, *shape = pictures.shape
    return xp.matrix_transpose(xp.reshape(pictures, (m, math.prod(shape))))


def unflatten(X: Any, shape: Sequence[int]) -> Array:
    """Turn columns back into the samples that they were before `flatten`.

    Parameters
    ----------
    X : array (n_x, m)
        Samples, or weights w (n_x, k), which become k pictures.
    shape : sequence of int
        The shape of one sample, such as (64, 64, 3).

    Returns
    -------
    array (m, h, w, c)

    Raises
    ------
    ValueError
        If the shape does not hold n_x numbers.

    Examples
    --------
    >>> import numpy as np
    >>> unflatten(np.zeros((12288, 10)), (64, 64, 3)).shape
    (10, 64, 64, 3)
    """
    X, shape = X if is_array(X) else np.asarray(X), tuple(shape)
    if X.ndim != 2 or math.prod(shape) != X.shape[0]:
        raise ValueError(f"X must have the shape ({math.prod(shape)}, m) for pictures {shape}; got {tuple(X.shape)}")
    xp = array_namespace(X)
    return xp.reshape(xp.matrix_transpose(X), (X.shape[1], *shape))


def load_folder(path: str | os.PathLike, size: int = 64, *, strict: bool = False, progress: bool = False) -> Pictures:
    """Load the pictures in a folder that has one subfolder for each class.

    The format of a file is known from its content, not from its name: PNG, JPEG, BMP, GIF, WebP, TIFF, or HEIC (the
    extra "heic"). Only the first frame is used. Each picture is turned as its EXIF data say, converted to RGB (16 bits
    to 8, transparent parts to white), and scaled as a whole to a square, whatever its proportions: nothing is cut off.
    Scaling is by area-weighted bilinear interpolation; large JPEGs are first decoded at a half, a quarter or an eighth.

    Parameters
    ----------
    path : path of a folder
        Its subfolders are the classes; subfolders of these are searched, too. Only links to files in the folder are
        followed. Hidden files, and files that file managers leave, are passed over.
    size : int
        Pixels a side.
    strict : bool
        Whether a file that is not used is an error, not an entry in ``skipped``.
    progress : bool
        Whether to show how many pictures are done.

    Returns
    -------
    Pictures
        Sorted by class, and within a class by the name of the file.

    Raises
    ------
    ValueError
        If there are not two or more classes, each with pictures; with ``strict``, if any file is not used.
    OSError
        If there is no folder to read.
    ImportError
        If Pillow is missing or too old.
    """
    if not isinstance(size, numbers.Integral) or isinstance(size, bool) or size < 1:
        raise ValueError(f"size must be a whole number of pixels, 1 or more, not {size!r}")
    folder, side = Path(path), int(size)
    found, skipped = find_pictures(folder)
    if len(found) < 2:
        only = f"one folder, {next(iter(found))!r}" if found else "no folder"
        loose = f" (and {len(skipped)} other files)" if skipped else ""
        raise ValueError(
            f"{path} holds {only}{loose}; expected two or more, one for each class, with the pictures in them"
        )
    pictures = read_classes(found, skipped, side, strict, progress)
    for name in sorted(found.keys() - set(pictures.classes)):
        own = [entry for entry in pictures.skipped if entry.file.is_relative_to(folder / name)]
        first = f" ({len(own)} skipped; the first: {own[0]})" if own else ""
        remedy = "; put pictures there, or take the folder away"
        raise ValueError(f"the folder {name!r} holds no picture that can be read{first}{remedy}")
    return pictures


def read_classes(
    found: dict[str, list[Path]], skipped: list[Skipped], size: int, strict: bool, progress: bool
) -> Pictures:
    """Read the files of each class, as `find_pictures` finds them; its classes are those with a picture."""
    files = [(name, file) for name, inside in found.items() for file in inside]
    pictures, reasons = read_pictures([file for _, file in files], size, progress)
    kept = [number for number, reason in enumerate(reasons) if not reason]
    skipped = skipped + [Skipped(file, reason) for (_, file), reason in zip(files, reasons, strict=True) if reason]
    skipped.sort()
    if strict and skipped:
        raise ValueError(str(skipped[0]))
    labels = [files[number][0] for number in kept]
    for number, source in enumerate(kept):  # move in place: a copy would take the memory of all pictures again
        if number != source:
            pictures[number] = pictures[source]
    own = tuple(files[number][1] for number in kept)
    classes = tuple(name for name in found if name in set(labels))
    return Pictures(pictures[: len(kept)], np.asarray(labels, str)[None, :], own, classes, tuple(skipped))


def load_h5(path: str | os.PathLike) -> Pictures:
    """Load the pictures in a file of the course: ``train_set_x`` or ``test_set_x``, ``..._set_y`` and ``list_classes``.

    Raises
    ------
    ValueError
        If the file does not hold these, or if it holds both ``train_set_x`` and ``test_set_x``.
    OSError
        If there is no file to read.
    ImportError
        If h5py (the extra "h5") is not installed.
    """
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise ImportError("HDF5 files need h5py: pip install 'xlogreg[h5]'", name="h5py") from error
    try:
        file = open_regular(path)
    except IrregularFileError as error:
        raise ValueError(f"{os.fspath(path)!r} is no file of pictures as the course has them: it is {error}") from None
    with file:
        try:
            with h5py.File(file, "r") as content:
                pictures, numbers_of, classes = _sets(content)
        except Exception as error:  # a damaged file can make h5py raise any error
            expect_memory(error, f"reading {os.fspath(path)!r}")
            said = printable(" ".join(str(error).split()))
            raise ValueError(f"{os.fspath(path)!r} is no file of pictures as the course has them: {said}") from None
    return Pictures(
        pictures, np.asarray(classes)[numbers_of][None, :], (Path(path),) * len(pictures), tuple(sorted(classes))
    )


def _sets(content: Any) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Read pictures (m, h, w, 3), the number of the class of each (m,), and the names of the classes."""
    parts = [f"{part}_set_" for part in ("train", "test") if f"{part}_set_x" in content]
    if len(parts) != 1:
        raise ValueError(f"expected train_set_x or test_set_x, found {', '.join(content) or 'nothing'}")
    wanted = (f"{parts[0]}x", f"{parts[0]}y", "list_classes")
    missing = [name for name in wanted if name not in content]
    if missing:
        raise ValueError(f"it lacks {', '.join(missing)}")
    x, y, names = (content[name] for name in wanted)
    if x.ndim != 4 or x.shape[-1] != 3 or x.dtype != np.uint8:
        raise ValueError(f"{wanted[0]} must be of uint8 and have the shape (m, h, w, 3); it is {x.dtype} {x.shape}")
    m = x.shape[0]
    if y.shape not in ((m,), (1, m)) or y.dtype.kind not in "iu":
        raise ValueError(f"{wanted[1]} must be whole numbers ({m},); it is {y.dtype} {y.shape}")
    numbers_of, classes = np.asarray(y).ravel(), [_text(name) for name in names]
    if m == 0 or numbers_of.min() < 0 or numbers_of.max() >= len(classes):
        raise ValueError(f"{wanted[1]} must hold numbers of the {len(classes)} classes in list_classes")
    return np.asarray(x), numbers_of, classes


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
