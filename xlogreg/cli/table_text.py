"""Read tables of text: find the separator, the decimal sign and the encoding, and read the cells with polars."""

import codecs
import contextlib
import csv
import io
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from xlogreg.cli.table_bytes import PIECE_BYTES, as_bytes, encoding_of, expect_western, head_of, recoded
from xlogreg.cli.table_cells import MISSING, as_numbers, misplaced, stripped

__all__ = ["read_text"]

SEPARATORS = ",;\t|"
SAMPLE_ROWS = 10_000  # rows that show the types of the columns; if later ones do not agree, all rows are looked at
SAID = re.compile(rb'(?:\xef\xbb\xbf)?"?sep=([^"\r\n])"?[ \t]*\r?\n', re.IGNORECASE)  # Excel's line with the separator
# these match complete numbers: 1,5 but not 1,000, which may be a thousand; 1.5 but not the date 31.12.2020
DECIMAL_COMMA = re.compile(rb"(?<![\d.,])\d+,(?!\d{3}(?!\d))\d+(?![\d.,])")
DECIMAL_POINT = re.compile(rb"(?<![\d.,])\d+\.\d+(?![\d.,])")
ZLIB = (b"x\x01", b"x^", b"x\x9c", b"x\xda")  # beginnings that make polars unpack a file; x^2 can be a name


class Dialect(NamedTuple):
    """How a text says a table: what is between cells, lines above the header, names, and the sign of decimals."""

    separator: str
    skipped: int
    names: list[str]
    comma: bool


def read_text(
    source: Path | bytes, tabs: bool, text: Collection[str], thousands: str | None
) -> tuple[pl.DataFrame, list[str]]:
    """Read a table of text, and say what had to be assumed about it.

    Parameters
    ----------
    source : Path or bytes
    tabs : bool
        Whether tabs are the separator if the header has one.
    text, thousands
        As for `read_table`.
    """
    head = head_of(source)
    encoding = encoding_of(head)
    if encoding != "utf-8":
        source = recoded(source, encoding)
    elif b"\n" not in head and b"\r" in head:  # lines of an old Mac
        source = recoded(source, "utf-8-sig", newline=None)
    elif head.startswith(ZLIB):
        source = codecs.BOM_UTF8 + as_bytes(source)
    try:
        frame, dialect = _read(source, tabs, text, thousands)
    except pl.exceptions.ComputeError as error:
        if encoding != "utf-8" or "utf-8" not in str(error):
            raise
        expect_western(head)
        encoding = "cp1252"
        frame, dialect = _read(recoded(source, encoding), tabs, text, thousands)
    taken = "cp1252 (Windows, Latin-1)" if encoding == "cp1252" else encoding.upper()
    remarks = [] if encoding == "utf-8" else [f"it is not encoded in UTF-8; it was read as {taken}"]
    frame = _named(frame, dialect.names, text, remarks)
    frame = _typed(frame, dialect.comma, text, thousands, remarks)
    while frame.height and frame.width > 1 and all(value is None for value in frame.row(-1)):
        frame = frame.head(-1)  # drop blank lines at the end
    return frame, remarks


def _read(
    source: Path | bytes, tabs: bool, text: Collection[str], thousands: str | None, closed: bool = False
) -> tuple[pl.DataFrame, Dialect]:
    """Read a table of UTF-8; ``closed`` says that no quotes follow a blank after a separator."""
    head = head_of(source)
    dialect = _dialect(head, tabs, thousands)
    named = [name for name in dialect.names if name]
    if len(set(named)) < len(named):
        raise ValueError(f"several columns have the name {max(named, key=named.count)!r}")
    opening = re.compile(re.escape(dialect.separator.encode()) + b' +"(?!")')  # two are a sign inside of quotes
    quoted = not closed and opening.search(head) is not None
    try:
        if not quoted:
            frame = _parsed(source, head, dialect, text, thousands)
            quoted = not closed and _any_cell_is_quoted(frame)
    except pl.exceptions.ComputeError as error:
        if "utf-8" in str(error):
            raise
        if closed or opening.search(as_bytes(source)) is None:
            _refuse_ragged(source, dialect)
            raise
        quoted = True
    return _read(_closed_up(source, dialect), tabs, text, thousands, closed=True) if quoted else (frame, dialect)


def _dialect(head: bytes, tabs: bool, thousands: str | None) -> Dialect:
    """Find the separator: Excel's line says it, or it cuts the header into most pieces; quoted names stay whole."""
    said = SAID.match(head)
    text = head[said.end() if said else 0 :].decode("utf-8-sig", errors="ignore").lstrip("\r\n")
    signs = said[1].decode() if said else SEPARATORS
    headers = {sign: next(csv.reader(io.StringIO(text), delimiter=sign, skipinitialspace=True), [""]) for sign in signs}
    separator = "\t" if tabs and len(headers.get("\t", [])) > 1 else max(headers, key=lambda sign: len(headers[sign]))
    if thousands in (",", "."):
        comma = thousands == "."
    else:
        comma = DECIMAL_COMMA.search(head) is not None and DECIMAL_POINT.search(head) is None
    names = [name.strip() for name in headers[separator]]
    return Dialect(separator, int(said is not None), names, comma and separator != ",")


def _parsed(
    source: Path | bytes, head: bytes, dialect: Dialect, text: Collection[str], thousands: str | None
) -> pl.DataFrame:
    """Read the cells. The first rows say the types of columns, unless later rows do not agree with them."""
    options: dict[str, Any] = {"separator": dialect.separator, "skip_rows": dialect.skipped, "glob": False}
    if text:
        # polars names columns otherwise than csv does, such as those with quotes in quotes
        start = pl.read_csv(head, n_rows=0, infer_schema=False, truncate_ragged_lines=True, **options)
        named = zip(start.columns, dialect.names, strict=False)
        options["schema_overrides"] = {known: pl.String for known, name in named if name in text}
    if thousands == "." and dialect.separator == ",":
        options["infer_schema"] = False  # 1.234 would be taken for a number smaller than 2
    options |= {"decimal_comma": dialect.comma, "null_values": MISSING}
    try:
        return pl.read_csv(source, infer_schema_length=SAMPLE_ROWS, **options)
    except pl.exceptions.ComputeError:
        with contextlib.suppress(pl.exceptions.ComputeError):
            return pl.read_csv(source, infer_schema_length=None, **options)
    return pl.read_csv(source, **options | {"infer_schema": False})  # digits of other scripts, or too many, are text


def _any_cell_is_quoted(frame: pl.DataFrame) -> bool:
    """Whether quotes are a part of a name or a cell, since a blank is before them."""
    cells = frame.select(pl.col(pl.String))
    quoted = cells.select((pl.all().str.starts_with(" ") & pl.all().str.contains('^ +"')).any())
    return any(re.match(' +"', name) for name in frame.columns) or any(column.any() for column in quoted)


def _closed_up(source: Path | bytes, dialect: Dialect) -> bytes:
    """Remove the blanks between a separator and quotes, where they are not inside of other quotes."""
    data, held, start = as_bytes(source).removeprefix(codecs.BOM_UTF8), io.BytesIO(), 0
    cell = re.compile(rb'(^|[\n%b]) *("[^"]*(?:""[^"]*)*")' % re.escape(dialect.separator.encode()))
    held.write(codecs.BOM_UTF8)
    while start < len(data):  # piece by piece, since all cells at a time would take much memory
        stop = data.find(b"\n", start + PIECE_BYTES) + 1 or len(data)
        quotes = data.count(b'"', start, stop)
        while quotes % 2 and stop < len(data):  # the end of the line is inside of quotes
            line, stop = stop, data.find(b"\n", stop) + 1 or len(data)
            quotes += data.count(b'"', line, stop)
        held.write(cell.sub(rb"\1\2", data[start:stop]))
        start = stop
    return held.getvalue()


def _refuse_ragged(source: Path | bytes, dialect: Dialect) -> None:
    """Raise if a row has more cells than the header, or wrong quotes; the message names its line."""
    file = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as lines:
        for _ in range(dialect.skipped):
            next(lines)
        rows = csv.reader(lines, delimiter=dialect.separator, strict=True)
        width, before = len(next(row for row in rows if row)), 0
        try:
            for row in rows:
                before = rows.line_num
                if len(row) > width:
                    raise ValueError(f"line {before + dialect.skipped} has {len(row)} cells, the header has {width}")
        except csv.Error as error:
            line = max(before, 1) + 1 + dialect.skipped
            raise ValueError(f"the quotes in the row that begins in line {line} are wrong: {error}") from None


def _named(frame: pl.DataFrame, names: list[str], text: Collection[str], remarks: list[str]) -> pl.DataFrame:
    """Strip the names, and drop columns without a name: an index in front, or what has no cells either."""
    frame.columns = [name or f"\0{number}" for number, name in enumerate(names)]  # no name has this sign
    first = names[0]
    if first in ("", "Unnamed: 0") and first not in text and frame.width > 1:
        remarks.append(f"its first column has no name ({first!r}), so it was left out, as the numbers of the rows")
        frame = frame.drop(frame.columns[0])
    nameless = [name for name in frame.columns if name.startswith("\0")]
    frame = frame.drop(name for name in nameless if frame[name].null_count() == frame.height)
    nameless = [name for name in nameless if name in frame.columns]
    if len(nameless) > 1:
        raise ValueError("several columns have the name ''")
    return frame.rename(dict.fromkeys(nameless, ""))


def _typed(
    frame: pl.DataFrame, comma: bool, text: Collection[str], thousands: str | None, remarks: list[str]
) -> pl.DataFrame:
    """Strip the cells, and turn columns of text into numbers where polars sees none, as for blanks around them."""
    changed = []
    for column in frame.select(pl.col(pl.String)):
        cells = stripped(column)
        numbers = None
        if column.name not in text:
            numbers = as_numbers(cells, thousands, comma)
            wrong = misplaced(cells, thousands, comma) if numbers is None and thousands is not None else None
            if wrong is not None:
                remarks.append(f"its column {column.name!r} stays text, since {wrong!r} is no number")
        if numbers is not None or cells is not column:
            changed.append(cells if numbers is None else numbers)
    return frame.with_columns(changed)
