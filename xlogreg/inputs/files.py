"""Files of strangers are opened with distrust, and ours are written whole or not at all; text is made printable."""

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

__all__ = ["expect_file", "expect_folder", "open_regular", "printable", "write_atomically"]


def open_regular(path: str | os.PathLike) -> IO[bytes]:
    """Open a regular file to read bytes; never wait for somebody to write into a pipe.

    Raises
    ------
    OSError
        If there is no file to read.
    ValueError
        If it is a pipe or a device.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError("no regular file")
    return os.fdopen(descriptor, "rb")


def expect_file(path: str | os.PathLike) -> None:
    """Refuse to read what is no regular file: a pipe would be waited for, and a device be read for ever."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError(f"{os.fspath(path)} is no regular file; pipes and standard input are not supported yet")


def expect_folder(path: Path) -> None:
    """That there is a folder to write the file into: before the work is done, not after."""
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path.parent))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))


@contextlib.contextmanager
def write_atomically(path: str | os.PathLike) -> Iterator[IO[bytes]]:
    """A file beside ``path`` to write into, which takes its place once it is whole and on disk, or vanishes."""
    target = Path(os.path.realpath(os.fsdecode(path)))  # a link stays a link
    if target.is_dir() or not target.name:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fsdecode(path))
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "is no regular file, and would be replaced by one", os.fsdecode(path))
    aside = target.with_name(f".{target.name[:40]}.{secrets.token_hex(6)}.tmp")  # 255 bytes at the most
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
    if os.name == "posix":  # the new name is on disk once its folder is, which may be one that nobody may read
        with contextlib.suppress(OSError):
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def printable(text: str) -> str:
    """In one line, and without what a terminal acts on: characters that are not printable are escaped.

    Examples
    --------
    >>> print(printable("a\\x1b[31m\\ncat"))
    a\\x1b[31m\\ncat
    """
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
