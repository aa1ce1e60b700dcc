"""Picture files, read with distrust: which files a folder holds for each class, and each of them as a square of RGB.

Needs Pillow (the extra "images"), of which only the decoders of `FORMATS` are asked, and nothing is set.
"""

import io
import os
import re
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from xlogreg.inputs.files import open_regular, printable

__all__ = ["Skipped", "find_pictures", "need_pillow", "read_pictures"]

OLDEST = 13  # of Pillow: before, the tags of a small TIFF, or of EXIF data, could all ask for the same megabytes
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
MOST_PIXELS = 2**26  # of a picture, by its header: 8192 x 8192, which take 200 MB once they are decoded
MOST_BYTES = 2**28  # of a file
MOST_SCANS = 100  # of a progressive JPEG, each of them a pass over all of its pixels; libtiff has the same limit
MOST_THREADS = 8  # each holds one decoded picture at a time
DRAFT = 2  # a JPEG is decoded at a half, a quarter or an eighth, as long as that is so many times the size wanted
ORIENTATION = 0x0112
TURNS = {  # EXIF 2.32, section 4.6.4: what makes a picture upright
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
# a marker of a JPEG that is neither a stuffed byte, nor a restart, nor the start of the file
MARKER = re.compile(rb"\xff+([\x02-\xcf\xd9-\xfe])")
END, SCAN = b"\xd9", b"\xda"
IGNORED = ("thumbs.db", "desktop.ini", "__macosx")  # what file managers leave, beside hidden files

Item = TypeVar("Item")
SECONDS_BETWEEN = 0.1  # of two states of the line of progress


class Skipped(NamedTuple):
    """A file that is not used, and why; prints as one line."""

    file: Path
    reason: str

    def __str__(self) -> str:
        return printable(f"{self.file}: {self.reason}")


def need_pillow() -> Any:
    """The module PIL.Image."""
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise ImportError("pictures need Pillow: pip install 'xlogreg[images]'", name="Pillow") from error
    if int(Image.__version__.partition(".")[0]) < OLDEST:
        said = f"pictures need Pillow {OLDEST} or later, not {Image.__version__}: pip install 'xlogreg[images]'"
        raise ImportError(said, name=f"Pillow {OLDEST} or later")
    return Image


def find_pictures(folder: Path) -> tuple[dict[str, list[Path]], list[Skipped]]:
    """The files below each subfolder, by its name and in order; and what else there is, and why it is not used.

    No link to a folder is followed, and a link to a file only if that lies below ``folder``, too. Hidden files and
    what file managers leave are passed over.

    Raises
    ------
    OSError
        Where there is no folder to read.
    """
    found: dict[str, list[Path]] = {}
    skipped: list[Skipped] = []
    for entry in _entries(folder):
        path = folder / entry.name
        if not entry.is_dir(follow_symlinks=False):
            linked = entry.is_symlink() and os.path.isdir(path)
            skipped.append(Skipped(path, "a link to a folder" if linked else "not in the folder of a class"))
        elif not entry.name.isprintable():
            skipped.append(Skipped(path, "the name of a class must be printable"))
        else:
            found[entry.name] = _files_below(path, os.path.realpath(folder), skipped)
    return found, skipped


def _files_below(folder: Path, root: str, skipped: list[Skipped]) -> list[Path]:
    files: list[Path] = []
    pending = [folder]
    while pending:
        current = pending.pop()
        try:
            entries = _entries(current)
        except OSError as error:
            skipped.append(Skipped(current, _reason(error)))
            continue
        for entry in entries:
            path = current / entry.name
            if entry.is_dir(follow_symlinks=False):
                pending.append(path)
            elif entry.is_symlink() and os.path.isdir(path):
                skipped.append(Skipped(path, "a link to a folder"))
            elif entry.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root):
                skipped.append(Skipped(path, "a link that leaves the folder"))
            else:
                files.append(path)
    return sorted(files)


def _entries(folder: Path) -> list[os.DirEntry]:
    with os.scandir(folder) as entries:
        seen = [entry for entry in entries if not entry.name.startswith(".") and entry.name.lower() not in IGNORED]
    return sorted(seen, key=lambda entry: entry.name)


def read_pictures(files: Sequence[Path], size: int, progress: bool = False) -> tuple[np.ndarray, list[str]]:
    """Decode and scale the pictures in threads.

    Parameters
    ----------
    files : sequence of Path (m,)
    size : int
        Pixels a side; see `xlogreg.images.load_folder` for how a picture comes to it.
    progress : bool
        Whether to show how many are done.

    Returns
    -------
    pictures : ndarray (m, size, size, 3), uint8
        All 0 where there is none.
    reasons : list of str (m,)
        Why there is none; "" where there is.
    """
    Image = need_pillow()
    pictures = np.zeros((len(files), size, size, 3), dtype=np.uint8)

    def read(number: int) -> str:
        try:
            pictures[number] = _square(_content(files[number]), size)
        except Exception as error:  # of Pillow, which strangers' bytes can make raise anything
            return _reason(error)
        return ""

    pool = ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1), "xlogreg-pictures")
    try:
        with warnings.catch_warnings():  # of the process: set and lifted here, not in its threads
            warnings.filterwarnings("ignore", module="PIL")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            reasons = pool.map(read, range(len(files)))
            return pictures, list(counting(reasons, len(files), "pictures") if progress else reasons)
    finally:
        pool.shutdown(cancel_futures=True)


def _content(path: Path) -> bytes:
    """Of a regular file, without waiting for somebody to write into a pipe."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MOST_BYTES:
            raise ValueError(f"{size} bytes, more than {MOST_BYTES}")
        data = file.read(size)
    if not data:
        raise ValueError("empty")
    return data


def _square(data: bytes, size: int) -> np.ndarray:
    """The picture in a file (size, size, 3)."""
    from PIL import Image, UnidentifiedImageError

    try:
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise ValueError(f"no picture of the formats {', '.join(FORMATS)}") from None
    with picture:
        width, height = picture.size
        if width * height > MOST_PIXELS:
            raise ValueError(f"{width} x {height} pixels, more than {MOST_PIXELS} in all")
        if picture.format in ("JPEG", "MPO") and _count_scans(data) > MOST_SCANS:
            raise ValueError(f"a progressive JPEG of more than {MOST_SCANS} scans")
        picture.draft(None, (DRAFT * size, DRAFT * size))
        picture.load()
        small = _in_colour(picture).resize((size, size), Image.Resampling.BILINEAR)
        if small.mode == "RGBA":
            small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small).convert("RGB")
        turn = TURNS.get(_orientation(picture))
        return np.asarray(small if turn is None else small.transpose(Image.Transpose[turn]))


def _in_colour(picture: Any) -> Any:
    """In RGB, or in RGBA where something of it is transparent."""
    from PIL import Image

    if picture.mode.startswith("I;16"):
        grey = np.asarray(picture)
        # the high byte, as Pillow reads colours of 16 bits; what is transparent shows the white below it
        grey = np.where(grey == picture.info.get("transparency", -1), 255, grey >> 8)
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if picture.mode in ("I", "F"):
        raise ValueError(f"values of 32 bits (mode {picture.mode}), of which nobody says what is white")
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def _orientation(picture: Any) -> Any:
    try:
        return picture.getexif().get(ORIENTATION)
    except Exception:  # a damaged note beside the picture is no reason to lose it
        return None


def _count_scans(data: bytes) -> int:
    """How many scans a JPEG has, up to the end that its decoder sees."""
    count, place = 0, 2
    while (marker := MARKER.search(data, place)) is not None and marker[1] != END:
        count += marker[1] == SCAN
        place = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2])
    return count


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return printable(" ".join(text.split())[:200]) or type(error).__name__


def counting(items: Iterable[Item], total: int, title: str) -> Iterator[Item]:
    """The items, counted in one line on standard error: tqdm's where it is installed."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        yield from _counted(items, total, title)
    else:
        yield from tqdm(items, total=total, desc=title, file=sys.stderr)


def _counted(items: Iterable[Item], total: int, title: str) -> Iterator[Item]:
    shown = 0.0
    for number, item in enumerate(items, 1):
        yield item
        now = time.perf_counter()
        if number == total or now - shown >= SECONDS_BETWEEN:
            shown = now
            sys.stderr.write(f"\r{title}: {number} of {total}")
            sys.stderr.flush()
    sys.stderr.write("\n")
