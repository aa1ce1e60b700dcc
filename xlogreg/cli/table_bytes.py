"""Unpack compressed files within bounds, and turn text of other encodings into UTF-8."""

import codecs
import gzip
import importlib
import io
import re
import sys
from pathlib import Path
from typing import IO, Any

__all__ = [
    "MAGIC",
    "PIECE_BYTES",
    "as_bytes",
    "encoding_of",
    "expect_western",
    "head_of",
    "open_packed",
    "recoded",
    "unpacked",
]

HEAD_BYTES = 2**16  # beginning of a file, which shows its separator and its encoding
PIECE_BYTES = 2**20  # step in which files are unpacked and turned into plain UTF-8
SAFE_BYTES = 2**30  # size that any compressed file may unpack to: most machines have this memory
# times its size that a larger file may unpack to: tables shrink to a third, or to a hundredth where nearly all is zero
MOST_TIMES = 200
MAGIC = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd"}  # first bytes of compressed files
MARKS = {  # byte order marks; that of UTF-16 begins that of UTF-32
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
WESTERN = "cp1252"  # has all signs of Latin-1 at the same place
BINARY = re.compile(rb"[\0-\x08\x0e-\x19\x1c-\x1f]")  # control characters that no text holds


def open_packed(file: IO[bytes] | Path, packing: str, mode: str = "rb") -> Any:
    """Open a compressed file, to read or write the bytes that it holds."""
    if packing == ".gz":
        return gzip.open(file, mode)
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    try:
        return importlib.import_module(name).open(file, mode)
    except ImportError as error:
        raise ImportError(str(error), name=name) from error


def unpacked(file: IO[bytes], packing: str, size: int) -> bytes:
    """Unpack a compressed file of this size.

    Raises
    ------
    ValueError
        If it unpacks to much more than tables do, as a file that was made to fill the memory.
    """
    limit, held = max(SAFE_BYTES, MOST_TIMES * size), io.BytesIO()
    with open_packed(file, packing) as stream:
        while piece := stream.read(PIECE_BYTES):
            if held.tell() + len(piece) > limit:
                raise ValueError(
                    f"it unpacks to more than {limit // 2**20} MiB, over {MOST_TIMES} times its size; "
                    "if you trust it, unpack it yourself"
                )
            held.write(piece)
    return held.getvalue()


def head_of(source: Path | bytes) -> bytes:
    """Return the beginning of a file, up to the end of a line."""
    if isinstance(source, bytes):
        return source[: source.find(b"\n", HEAD_BYTES) + 1] or source
    with source.open("rb") as file:
        return file.read(HEAD_BYTES) + file.readline()


def as_bytes(source: Path | bytes) -> bytes:
    """Return all bytes of a file."""
    return source if isinstance(source, bytes) else source.read_bytes()


def encoding_of(head: bytes) -> str:
    """Tell the encoding of a text by its beginning: that of its mark, or else UTF-8, or else cp1252.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    marked = next((encoding for mark, encoding in MARKS.items() if head.startswith(mark)), None)
    if marked is not None:
        return marked
    if b"\0" in head:
        raise ValueError("it holds bytes of value 0, as UTF-16 without a mark and binary files do; save it in UTF-8")
    if _is_utf8(head):
        return "utf-8"
    expect_western(head)
    return WESTERN


def expect_western(head: bytes) -> None:
    """Raise if a text that is not UTF-8 is no text, or is mostly UTF-8 after all, so that a part is damaged."""
    runs = set(re.findall(rb"[\x80-\xff]+", head))
    if BINARY.search(head):
        raise ValueError("it is not encoded in UTF-8, and no text")
    if runs and 2 * sum(map(_is_utf8, runs)) >= len(runs):
        raise ValueError("a part of it is encoded in UTF-8, and another is not; save it in UTF-8")


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def recoded(source: Path | bytes, encoding: str, newline: str | None = "") -> bytes:
    r"""Turn a text into UTF-8 with a mark, piece by piece; a ``newline`` of None turns all ends of lines into \n."""
    held = io.BytesIO()
    held.write(codecs.BOM_UTF8)
    file = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
    with io.TextIOWrapper(file, encoding=encoding, newline=newline) as reader:
        try:
            while piece := reader.read(PIECE_BYTES):
                held.write(piece.encode())
        except UnicodeDecodeError as error:
            if encoding != WESTERN:
                raise
            byte = error.object[error.start]
            raise ValueError(
                f"its encoding is not known: it is not UTF-8, and the byte 0x{byte:02x} is not {WESTERN}; "
                "save it in UTF-8"
            ) from None
    return held.getvalue()
