"""Open files of unknown origin safely, write files whole or not at all, and make text printable."""

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

__all__ = ["IrregularFileError", "expect_file", "expect_folder", "open_regular", "printable", "write_atomically"]


class IrregularFileError(ValueError):
    """The file is a pipe or a device, which would be waited for, or be read for ever."""


def open_regular(path: str | os.PathLike) -> IO[bytes]:
    """Open a regular file to read bytes; never wait for another process to write into a pipe.

    Raises
    ------
    OSError
        If there is no file to read.
    ValueError
        If the path is a pipe or a device.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise IrregularFileError("no regular file")
    return os.fdopen(descriptor, "rb")


def expect_file(path: str | os.PathLike) -> None:
    """Raise if the path is no regular file: reading would wait for a pipe, and read a device for ever."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError(f"{os.fspath(path)} is no regular file; a table in a pipe is read from standard input: -")


def expect_folder(path: Path) -> None:
    """Raise, before any work is done, if the file could not be written: no folder to hold it, or a folder itself."""
    if not path.absolute().parent.is_dir():
        number = errno.ENOTDIR if path.parent.exists() else errno.ENOENT
        raise OSError(number, os.strerror(number), str(path.parent))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "is no regular file, and would be replaced by one", str(path))


@contextlib.contextmanager
def write_atomically(path: str | os.PathLike) -> Iterator[IO[bytes]]:
    """Open a file beside ``path`` to write into; it replaces ``path`` once it is whole and on disk, or is deleted."""
    target = Path(os.path.realpath(os.fsdecode(path)))  # a link stays a link
    if target.is_dir() or not target.name:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fsdecode(path))
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "is no regular file, and would be replaced by one", os.fsdecode(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(target.parent))
    aside = target.with_name(f".{target.name[:40]}.{secrets.token_hex(6)}.tmp")  # a name may have 255 bytes
    try:
        with open(aside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, aside)
        os.replace(aside, target)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the new name is on disk once its folder is; we may lack the right to read that folder
        with contextlib.suppress(OSError):
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def printable(text: str) -> str:
    """Escape characters that are not printable, so that the text is one line and cannot control a terminal.

    Examples
    --------
    >>> print(printable("a\\x1b[31m\\ncat"))
    a\\x1b[31m\\ncat
    """
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
