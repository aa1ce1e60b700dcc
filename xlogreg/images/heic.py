"""Open HEIC pictures, which phones take, by pillow-heif (the extra "heic"). Nothing is registered with Pillow."""

import io
import re
from typing import Any

__all__ = ["is_heic", "open_heic"]

BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
SIZE = re.compile(rb"ispe\0.{3}(.{4})(.{4})", re.DOTALL)  # a box with the width and the height of a part
# an item of the type "iovl", a picture of other pictures: the same large one may be in it ten thousand times
OVERLAY = re.compile(rb"infe[\x02\x03].{7}(..)?iovl", re.DOTALL)


def is_heic(data: bytes) -> bool:
    """Whether the bytes of a file begin as those of a HEIC picture do."""
    return data[4:8] == b"ftyp" and data[8:12] in BRANDS


def open_heic(data: bytes, most_pixels: int) -> Any:
    """Open a HEIC picture as one of Pillow's, and decode nothing yet.

    libheif refuses a picture that is larger than its header declares, so that the declared sizes are those to check:
    of the picture, of all its tiles together, and of each other part, such as the one that says what is transparent.

    Raises
    ------
    ValueError
        If pillow-heif is not installed; if the file is damaged, or declares more than ``most_pixels``.
    """
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        raise ValueError("a HEIC picture, which needs pillow-heif: pip install 'xlogreg[heic]'") from None
    if OVERLAY.search(data) is not None:
        raise ValueError("a HEIC picture that lays others over each other")
    for width, height in (map(int.from_bytes, match.groups()) for match in SIZE.finditer(data)):
        _expect_few(width, height, most_pixels)
    try:
        picture = HeifImageFile(io.BytesIO(data))
    except SyntaxError as error:  # Pillow's word for any damage
        raise ValueError(str(error)) from None
    tiles = picture.info.get("tiling")
    if tiles:
        width, height = tiles["num_columns"] * tiles["tile_width"], tiles["num_rows"] * tiles["tile_height"]
        _expect_few(width, height, most_pixels)
    return picture


def _expect_few(width: int, height: int, most: int) -> None:
    if width * height > most:
        raise ValueError(f"a part of {width} x {height} pixels, more than {most} in all")
