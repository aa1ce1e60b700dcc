"""Find the picture files of each class in a folder, and read each file, without trust in it, as a square of RGB.

This needs Pillow (the extra "images"), and pillow-heif for HEIC (the extra "heic"). Of Pillow, only the decoders of
`FORMATS` are used, and no setting of it is changed.
"""

import io
import itertools
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

from xlogreg.images.heic import is_heic, open_heic
from xlogreg.inputs.files import open_regular, printable

__all__ = ["Skipped", "find_pictures", "need_pillow", "read_blocks", "read_pictures", "walk"]

# major version of Pillow; in older versions, all tags of a small TIFF, or of EXIF data, could claim the same megabytes
OLDEST = 13
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
MOST_PIXELS = 2**26  # most pixels of a picture by its header: 8192 x 8192, which take 200 MB when decoded
MOST_BYTES = 2**28  # largest size of a file
MOST_SCANS = 100  # most scans of a progressive JPEG; each is a pass over all pixels. libtiff has the same limit
BLOCK_BYTES = 2**26  # of the pictures that `read_blocks` reads at a time
BLOCK = 256  # pictures of a block at most: the line of progress counts whole blocks
MOST_THREADS = 8  # each holds one decoded picture at a time
# a JPEG is decoded at a half, a quarter or an eighth if that is at least this many times as large as the wanted size
DRAFT = 2
ORIENTATION = 0x0112  # the EXIF tag
TURNS = {  # the turn that makes a picture upright, by its orientation (EXIF 2.32, section 4.6.4)
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
IGNORED = ("thumbs.db", "desktop.ini", "__macosx")  # entries that file managers leave, in addition to hidden ones

Item = TypeVar("Item")
SECONDS_BETWEEN = 0.1  # between two updates of the line of progress


class Skipped(NamedTuple):
    """A file that is not used, and the reason; prints as one line."""

    file: Path
    reason: str

    def __str__(self) -> str:
        return printable(f"{self.file}: {self.reason}")


def need_pillow() -> Any:
    """Import the module PIL.Image; raise an error that says how to install it if it is missing or too old."""
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise ImportError("pictures need Pillow: pip install 'xlogreg[images]'", name="Pillow") from error
    if int(Image.__version__.partition(".")[0]) < OLDEST:
        said = f"pictures need Pillow {OLDEST} or later, not {Image.__version__}: pip install 'xlogreg[images]'"
        raise ImportError(said, name=f"Pillow {OLDEST} or later")
    return Image


def find_pictures(folder: Path) -> tuple[dict[str, list[Path]], list[Skipped]]:
    """Find the files below each subfolder, in order, by its name; and all other entries, with the reason to skip them.

    A link to a folder is not followed. A link to a file is followed only if the file lies below ``folder``, too. Hidden
    files, and files that file managers leave, are passed over.

    Raises
    ------
    OSError
        If there is no folder to read.
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


def walk(path: Path) -> tuple[list[Path], list[Skipped]]:
    """List the files below a folder, in order, by the rules of `find_pictures`; a file is a list of itself."""
    if not os.path.isdir(path):  # False, too, where it may not be asked
        return [path], []
    skipped: list[Skipped] = []
    return _files_below(path, os.path.realpath(path), skipped), skipped


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
    return sorted(files, key=lambda file: file.parts)  # paths themselves are in another order on some systems


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
        Pixels a side; `xlogreg.images.load_folder` says how a picture is scaled to it.
    progress : bool
        Whether to show how many pictures are done.

    Returns
    -------
    pictures : ndarray (m, size, size, 3), uint8
        All 0 for a file without a usable picture.
    reasons : list of str (m,)
        Why a file has no usable picture; "" if it has one.
    """
    Image = need_pillow()
    pictures = np.zeros((len(files), size, size, 3), dtype=np.uint8)

    def read(number: int) -> str:
        try:
            pictures[number] = _square(_content(files[number]), size)
        except Exception as error:  # the bytes of strangers can make Pillow raise any error
            return _reason(error)
        return ""

    pool = ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1), "xlogreg-pictures")
    try:
        with warnings.catch_warnings():  # filters belong to the process: set them here, not in its threads
            warnings.filterwarnings("ignore", module="PIL")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            reasons = pool.map(read, range(len(files)))
            return pictures, list(counting(reasons, len(files), "pictures") if progress else reasons)
    finally:
        pool.shutdown(cancel_futures=True)


def read_blocks(
    files: Sequence[Path], size: int, progress: bool = False
) -> Iterator[tuple[list[Path], np.ndarray, list[str]]]:
    """Yield the files in blocks, with what `read_pictures` reads of them: memory does not grow with their number."""
    shown = iter(counting(files, len(files), "pictures") if progress else files)
    step = max(1, min(BLOCK, BLOCK_BYTES // (3 * size**2)))
    while block := list(itertools.islice(shown, step)):
        yield block, *read_pictures(block, size)


def _content(path: Path) -> bytes:
    """Read the bytes of a regular file; never wait for somebody to write into a pipe."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MOST_BYTES:
            raise ValueError(f"{size} bytes, more than {MOST_BYTES}")
        data = file.read(size)
    if not data:
        raise ValueError("empty")
    return data


def _square(data: bytes, size: int) -> np.ndarray:
    """Decode the bytes of a file to a picture (size, size, 3)."""
    from PIL import Image

    with open_heic(data, MOST_PIXELS) if is_heic(data) else _opened(data) as picture:
        width, height = picture.size
        if width * height > MOST_PIXELS:
            raise ValueError(f"{width} x {height} pixels, more than {MOST_PIXELS} in all")
        if picture.format in ("JPEG", "MPO") and _count_scans(data) > MOST_SCANS:
            raise ValueError(f"a progressive JPEG of more than {MOST_SCANS} scans")
        if picture.format != "HEIF":  # whose draft is a thumbnail, which may show something else
            picture.draft(None, (DRAFT * size, DRAFT * size))
        picture.load()
        small = _in_colour(picture).resize((size, size), Image.Resampling.BILINEAR)
        if small.mode == "RGBA":
            small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small).convert("RGB")
        turn = TURNS.get(_orientation(picture))
        return np.asarray(small if turn is None else small.transpose(Image.Transpose[turn]))


def _opened(data: bytes) -> Any:
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise ValueError(f"no picture of the formats {', '.join(FORMATS)}, HEIC") from None


def _in_colour(picture: Any) -> Any:
    """Convert a picture to RGB, or to RGBA if parts of it are transparent."""
    from PIL import Image

    if picture.mode.startswith("I;16"):
        grey = np.asarray(picture)
        # keep the high byte, as Pillow does for colours of 16 bits; transparent pixels show the white below them
        grey = np.where(grey == picture.info.get("transparency", -1), 255, grey >> 8)
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if picture.mode in ("I", "F"):
        raise ValueError(f"values of 32 bits (mode {picture.mode}), and nothing says which value is white")
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def _orientation(picture: Any) -> Any:
    try:
        return picture.getexif().get(ORIENTATION)
    except Exception:  # damaged EXIF data are no reason to lose the picture
        return None


def _count_scans(data: bytes) -> int:
    """Count the scans of a JPEG, up to the end marker at which its decoder stops."""
    count, place = 0, 2
    while (marker := MARKER.search(data, place)) is not None and marker[1] != END:
        count += marker[1] == SCAN
        place = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2])
    return count


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return printable(" ".join(text.split())[:200]) or type(error).__name__


def counting(items: Iterable[Item], total: int, title: str) -> Iterator[Item]:
    """Yield the items, and count them in one line on standard error; tqdm draws the line if it is installed."""
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
