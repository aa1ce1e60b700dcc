"""Tables in files: every way to write the same table is read back the same, and what cannot be read is said."""

import codecs
import datetime
import gzip
import io
import types
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

pl = pytest.importorskip("polars")

from xlogreg.cli import main, table_bytes, table_text  # noqa: E402  # these need polars
from xlogreg.cli.column_names import find_columns  # noqa: E402
from xlogreg.cli.table_files import STANDARD_INPUT, read_table, write_table  # noqa: E402

PEOPLE = "name,age,town\nAnn,31,Köln\nBob,,Oslo\n"


def zstd(data):
    held = io.BytesIO()
    with table_bytes.open_packed(held, ".zst", "wb") as file:
        file.write(data)
    return held.getvalue()


PACK = {"": bytes, ".gz": gzip.compress, ".zst": zstd}


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Write a text to a file, or to standard input, and read the table in it."""

    def reading(data, name="people.csv", **options):
        data = data.encode() if isinstance(data, str) else data
        if name == "-":
            monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=io.BytesIO(data)))
            return read_table(STANDARD_INPUT, **options)
        (tmp_path / name).write_bytes(data)
        monkeypatch.chdir(tmp_path)
        return read_table(Path(name), **options)

    return reading


def cells(table):
    return table.frame.to_dict(as_series=False)


cell = st.one_of(st.none(), st.text(st.sampled_from("ab ,;\t|\"'\nüœ=1."), min_size=1, max_size=5))
columns = st.lists(st.lists(cell, min_size=3, max_size=3), min_size=2, max_size=4)


@given(
    rows=columns,
    names=st.permutations(["a", "b, c", 'said "d"', "ü;e"]),
    separator=st.sampled_from(",;\t|"),
    blank=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    end=st.sampled_from(["\n", "\r\n"]),
    packing=st.sampled_from(sorted(PACK)),
    source=st.sampled_from([".csv", ".tsv", ".txt", "-"]),
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_table_is_read_back_the_same_in_every_dialect(
    read, rows, names, separator, blank, encoding, end, packing, source
):
    """Numbers beside text of every kind, where quotes are around all text."""

    def quoted(value):
        return "" if value is None else '"' + value.replace('"', '""') + '"'

    names, joint = names[: len(rows)], separator + " " * blank
    lines = [["number", *map(quoted, names)]]
    lines += [[str(number), *(quoted(column[number]) for column in rows)] for number in range(3)]
    data = "".join(joint.join(line) + end for line in lines).encode(encoding)
    table = read(PACK[packing](data), "-" if source == "-" else f"table{source}{packing}", text=names)
    kept = {
        name: [(value and value.strip(" ")) or None for value in column]
        for name, column in zip(names, rows, strict=True)
    }
    assert cells(table) == {"number": [0, 1, 2], **kept}


@given(st.lists(st.sampled_from(["1", "-7", "+2", "2.5", "1e3", "true", "x", "", "NA", " 4"]), min_size=9))
@example(["1", "1", "2.5"] + ["1"] * 6 + ["12345678901234567890"])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.slow
def test_types_are_those_of_all_rows(read, monkeypatch, column):
    text = "a,b\n" + "".join(f"{cell},1\n" for cell in column)
    whole = read(text).frame
    with monkeypatch.context() as patched:
        patched.setattr(table_text, "SAMPLE_ROWS", 3)
        assert read(text).frame.equals(whole)
        assert read(text).frame.schema == whole.schema


READ = {  # name of the file, text or bytes, options -> columns
    "blanks around cells": (
        "a.csv",
        "a, b ,c\n1, 2 , 3.5\n 1, , NA\n",
        {},
        {"a": [1, 1], "b": [2, None], "c": [3.5, None]},
    ),
    "blanks and decimal commas": ("a.csv", "a; b\n1; 2,5\n1; \n", {}, {"a": [1, 1], "b": [2.5, None]}),
    "blanks and booleans": ("a.csv", "a, b\n1, true\n1, FALSE\n", {}, {"a": [1, 1], "b": [True, False]}),
    "quotes after blanks": ("a.csv", 'a, "b, c"\n1, "x, ""y"""\n2, z\n', {}, {"a": [1, 2], "b, c": ['x, "y"', "z"]}),
    "a late quote after a blank": (
        "a.csv",
        "a,b\n" + "1,x\n" * 2 + '1, "y\nz"\n',
        {},
        {"a": [1] * 3, "b": ["x", "x", "y\nz"]},
    ),
    "Excel's line": ("a.csv", "sep=;\r\na,x;b\r\n1,5;2\r\n", {}, {"a,x": [1.5], "b": [2]}),
    "Excel's line in quotes": ("a.txt", '"sep=|"\na|b\n1|2\n', {}, {"a": [1], "b": [2]}),
    "Excel's line in UTF-16": ("a.csv", "SEP=\t\na\tb\n1\t2\n".encode("utf-16"), {}, {"a": [1], "b": [2]}),
    "commas in a header of tabs": ("a.tsv", "a,b,c\td\n1\t2\n", {}, {"a,b,c": [1], "d": [2]}),
    "commas in a .tsv": ("a.tsv", "a,b\n1,2\n", {}, {"a": [1], "b": [2]}),
    "old ends of lines": ("a.csv", "a,b\r1,2\r3,4\r", {}, {"a": [1, 3], "b": [2, 4]}),
    "blank lines": ("a.tsv.gz", gzip.compress(b"a\tb\r\n1\t2\r\n\r\n  \r\n"), {}, {"a": [1], "b": [2]}),
    "blank lines above": ("a.csv", "\n\na;b\n1;2\n", {}, {"a": [1], "b": [2]}),
    "empty cells at the right": ("a.csv", "a;b;;\n1;2;;\n", {}, {"a": [1], "b": [2]}),
    "a name that begins like zlib": ("a.csv", "x^2,y\n1,2\n", {}, {"x^2": [1], "y": [2]}),
    "UTF-32": (
        "a.csv",
        PEOPLE.encode("utf-32"),
        {},
        {"name": ["Ann", "Bob"], "age": [31, None], "town": ["Köln", "Oslo"]},
    ),
    "text": (
        "a.csv",
        ' "x",y\n01, 1e5\n2020-01-31,NA\n',
        {"text": ["x", "y", "z"]},
        {"x": ["01", "2020-01-31"], "y": ["1e5", None]},
    ),
    "members of gzip": ("a.csv.gz", gzip.compress(b"a,b\n") + gzip.compress(b"1,2\n"), {}, {"a": [1], "b": [2]}),
    "frames of zstd": ("A.CSV.ZST", zstd(b"a,b\n") + zstd(b"1,2\n"), {}, {"a": [1], "b": [2]}),
    "thousands of commas": (
        "a.csv",
        "a;b\n1,000;1,5\n-2,345,678.5;2\n",
        {"thousands": ","},
        {"a": [1e3, -2345678.5], "b": ["1,5", "2"]},
    ),
    "thousands of points": ("a.csv", "a;b\n1.000;1,5\n12;2\n", {"thousands": "."}, {"a": [1000, 12], "b": [1.5, 2.0]}),
    "points in quotes": (
        "a.csv",
        'a,b\n1.000,"1,5"\n12,true\n',
        {"thousands": "."},
        {"a": [1000, 12], "b": ["1,5", "true"]},
    ),
    "thousands of blanks": (
        "a.csv",
        "a;b\n1 000,5;1\u00a0000\n12;2\n",
        {"thousands": " "},
        {"a": [1000.5, 12.0], "b": [1000, 2]},
    ),
    "thousands of Swiss": ("a.csv", "a,b\n1'000.5,1\n12,2\n", {"thousands": "'"}, {"a": [1000.5, 12.0], "b": [1, 2]}),
    "thousands beside text": (
        "a.csv",
        "a;b\n1,000;x\n",
        {"thousands": ",", "text": ["a"]},
        {"a": ["1,000"], "b": ["x"]},
    ),
}


@pytest.mark.parametrize("case", READ)
def test_tables_are_read_as_they_are_meant(read, case):
    name, data, options, expected = READ[case]
    found = cells(read(data, name, **options))
    assert found == expected
    assert [list(map(type, column)) for column in found.values()] == [list(map(type, c)) for c in expected.values()]


REMARKS = {
    "cp1252": (PEOPLE.encode("cp1252"), {}, "it is not encoded in UTF-8; it was read as cp1252 (Windows, Latin-1)"),
    "UTF-16": (PEOPLE.encode("utf-16"), {}, "it is not encoded in UTF-8; it was read as UTF-16"),
    "UTF-32": (PEOPLE.encode("utf-32"), {}, "it is not encoded in UTF-8; it was read as UTF-32"),
    "a late sign of cp1252": (
        "a,b\n" + "1,x\n" * 30_000 + "2,ä\n",
        {},
        "it is not encoded in UTF-8; it was read as cp1252 (Windows, Latin-1)",
    ),
    "an index": (",a\n0,1\n", {}, "its first column has no name (''), so it was left out, as the numbers of the rows"),
    "an index of pandas": (
        "Unnamed: 0,a\n0,1\n",
        {},
        "its first column has no name ('Unnamed: 0'), so it was left out, as the numbers of the rows",
    ),
    "a group of two": ("a;b\n1,00;1\n", {"thousands": ","}, "its column 'a' stays text, since '1,00' is no number"),
    "a group after zero": (
        "a;b\n1,000;1\n0,001;1\n",
        {"thousands": ","},
        "its column 'a' stays text, since '0,001' is no number",
    ),
    "two signs": (
        "a;b\n1.000;1\n1.000.0;1\n",
        {"thousands": "."},
        "its column 'a' stays text, since '1.000.0' is no number",
    ),
}


@pytest.mark.parametrize("case", REMARKS)
def test_what_was_assumed_is_remarked(read, case):
    data, options, remark = REMARKS[case]
    data = data.encode("latin-1") if isinstance(data, str) else data
    assert read(data, **options).remarks == (f"people.csv: {remark}",)
    assert read(data, "-", **options).remarks == (f"standard input: {remark}",)


def test_an_index_that_is_named_as_text_or_alone_stays(read):
    assert cells(read("Unnamed: 0,a\n0,1\n", text=["Unnamed: 0"])) == {"Unnamed: 0": ["0"], "a": [1]}
    assert cells(read("Unnamed: 0\n5\n")) == {"Unnamed: 0": [5]}


def test_a_table_that_needs_nothing_has_no_remark(read):
    assert read(PEOPLE).remarks == ()
    assert read(PEOPLE, thousands=",").remarks == ()


REFUSED = {
    "a sheet": ("a.xlsx", b"PK", r"a\.xlsx: tables are files of .*, not '\.xlsx'; save the sheet as CSV"),
    "a sheet called CSV": (
        "a.csv",
        b"PK\3\4\0",
        r"a\.csv holds no table: it is a sheet of Excel or an archive; save the",
    ),
    "JSON": ("a.json", b"{}", r"not '\.json'; save it as \.parquet or CSV"),
    "gzip alone": ("a.gz", b"", r"not '\.gz'; name it by what is in it: \.csv\.gz or \.csv\.zst"),
    "a packed parquet": ("a.parquet.gz", b"", r"not '\.parquet\.gz'; unpack it"),
    "no suffix": ("people", PEOPLE, "not one without a suffix"),
    "gzip called CSV": ("a.csv", gzip.compress(b"a\n"), r"it is compressed; name it \.gz at the end"),
    "cut gzip": ("a.csv.gz", gzip.compress(PEOPLE.encode())[:-9], r"a\.csv\.gz holds no table: Compressed file ended"),
    "cut zstd": ("a.csv.zst", zstd(PEOPLE.encode() * 9)[:-9], r"a\.csv\.zst holds no table: Compressed file ended"),
    "no gzip": ("a.csv.gz", PEOPLE, "holds no table: Not a gzipped file"),
    "no zstd": ("a.csv.zst", PEOPLE, "holds no table: Unable to decompress Zstandard data"),
    "empty gzip": ("a.csv.gz", gzip.compress(b""), r"a\.csv\.gz is empty"),
    "blank UTF-16": ("a.csv", "\n \n".encode("utf-16"), r"a\.csv is empty"),
    "no standard input": ("-", b"", "standard input is empty"),
    "half of a pair": ("a.csv", codecs.BOM_UTF16_LE + b"a\0,\0\x00\xd8", "utf-16.* codec can't decode"),
    "no mark": ("a.csv", PEOPLE.encode("utf-16-le"), "it holds bytes of value 0, as UTF-16 without a mark"),
    "other bytes": ("a.csv", b"a,b\n1,\x81\n", "it is not UTF-8, and the byte 0x81 is not cp1252; save it in UTF-8"),
    "no text": ("a.csv", b"a,b\n1,\x01\xff\n", "it is not encoded in UTF-8, and no text"),
    "two encodings": (
        "a.csv",
        PEOPLE.encode() * 9 + b"\xe4,1,\n",
        "a part of it is encoded in UTF-8, and another is not",
    ),
    "quotes without an end": (
        "a.csv",
        'a,b\n1,x\n2,"x\n3,y\n',
        "the quotes in the row that begins in line 3 are wrong",
    ),
    "ragged tabs": ("a.tsv", "a\tb\n1\t2\t3\n", "line 2 has 3 cells, the header has 2"),
    "ragged below Excel's line": ("a.csv", "sep=,\na,b\n1,2\n1,2,3\n", "line 4 has 3 cells, the header has 2"),
    "ragged below blank lines": ("a.csv", "\na,b\n1,2,3\n", "line 3 has 3 cells, the header has 2"),
    "ragged UTF-16": ("a.csv", "a,b\n1,2,3\n".encode("utf-16"), "line 2 has 3 cells, the header has 2"),
    "ragged gzip": ("a.csv.gz", gzip.compress(b"a,b\n1,2,3\n"), "line 2 has 3 cells, the header has 2"),
    "ragged input": ("-", "a,b\n1,2,3\n", "standard input holds no table: line 2 has 3 cells, the header has 2"),
    "names twice": ("a.tsv", 'a\t "a"\n1\t2\n', "several columns have the name 'a'"),
    "no names twice": ("a.csv", "a,,\n1,2,3\n", "several columns have the name ''"),
    "no rows": ("-", "a,b\n", "standard input holds no samples: 2 columns, 0 rows"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_table_is_refused_with_its_remedy(read, case):
    name, data, said = REFUSED[case]
    with pytest.raises(ValueError, match=said):
        read(data, name)


def test_a_sign_of_thousands_must_be_known(read):
    with pytest.raises(ValueError, match=r"thousands must be one of ',', '.', ' ', \"'\", not ';'$"):
        read(PEOPLE, thousands=";")


@pytest.mark.parametrize("packing", [".gz", ".zst"])
def test_a_small_file_cannot_fill_the_memory(read, monkeypatch, packing):
    data = PACK[packing](b"a,b\n" + b"1,2\n" * 2**20)
    assert read(data, f"a.csv{packing}").frame.height == 2**20
    monkeypatch.setattr(table_bytes, "SAFE_BYTES", 2**21)
    for name in (f"a.csv{packing}", "-"):
        with pytest.raises(
            ValueError, match=r"it unpacks to more than 2 MiB, over 200 times its size; if you trust it"
        ):
            read(data, name)
    monkeypatch.setattr(table_bytes, "SAFE_BYTES", 1)
    assert read(PACK[packing](PEOPLE.encode()), f"a.csv{packing}").frame.height == 2


def test_what_the_beginning_of_a_file_does_not_show_is_found_later(read, monkeypatch):
    monkeypatch.setattr(table_bytes, "HEAD_BYTES", 4)
    assert cells(read('a,b\n1,x\n2, "y"\n')) == {"a": [1, 2], "b": ["x", "y"]}
    with pytest.raises(ValueError, match="a part of it is encoded in UTF-8, and another is not"):
        read("ö,b\n".encode() + b"1,\xf6\n")


def test_quotes_reach_over_the_pieces_in_which_a_file_is_treated(read, monkeypatch):
    monkeypatch.setattr(table_text, "PIECE_BYTES", 4)
    text = 'a, b\n1, "x\ny, ""z"",\n w"\n2, "v"\n'
    assert cells(read(text)) == {"a": [1, 2], "b": ['x\ny, "z",\n w', "v"]}


def test_polars_unpacks_nothing_by_itself(read):
    with pytest.raises(ValueError, match="holds no table"):
        read(zlib.compress(b"a,b\n" + b"1,2\n" * 9))


@pytest.mark.parametrize("kind", [".parquet", ".npy", ".npz"])
def test_standard_input_is_known_by_its_first_bytes(read, kind):
    held, frame = io.BytesIO(), pl.DataFrame({"0": [1.5, 2.5], "1": [0.0, 1.0]})
    if kind == ".parquet":
        frame.write_parquet(held)
    elif kind == ".npy":
        np.save(held, frame.to_numpy())
    else:
        np.savez(held, **{name: frame[name].to_numpy() for name in frame.columns})
    assert read(held.getvalue(), "-").frame.equals(frame)


def test_a_file_called_like_standard_input_is_not_read(read, tmp_path):
    (tmp_path / "-").write_text("a,b\n1,2\n")
    assert cells(read(PEOPLE, "-"))["name"] == ["Ann", "Bob"]


def test_zstd_that_is_not_installed_is_named_with_its_extra(read, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("importlib.import_module", lambda name: (_ for _ in ()).throw(ImportError("none", name=name)))
    with pytest.raises(ImportError, match="none"):
        read(b"\x28\xb5\x2f\xfd", "a.csv.zst")
    assert main(["fit", str(tmp_path / "a.csv.zst"), "--target", "y", "-o", str(tmp_path / "m")]) == 1
    assert capsys.readouterr().err.endswith(".zstd: pip install 'xlogreg[cli]'\n")


def test_a_column_that_is_lacking_is_told_from_those_there(read):
    columns, people = read(PEOPLE).frame.columns, Path("people.csv")
    with pytest.raises(ValueError, match=r"people\.csv has no column 'Age' \(--ignore\); .*; did you mean 'age'\?$"):
        find_columns(people, columns, {"--ignore": ["Age"]})
    with pytest.raises(
        ValueError, match=r"standard input has no column 'y' \(--target\); it has 'name', 'age', 'town'$"
    ):
        find_columns(STANDARD_INPUT, columns, {"--target": "y"})
    with pytest.raises(ValueError, match="these are no names: a table begins with a line that names its columns"):
        find_columns(people, read("5.1,3.5\n4.9,3.0\n").frame.columns, {"--target": "y"})


WRITTEN = {
    "id": pl.Series(["007", None, "=1"]),
    "day": pl.Series([datetime.date(2020, 1, 31), None, None]),
    "kind": pl.Series(["-a", "b", None], dtype=pl.Categorical),
    "wait": pl.Series([datetime.timedelta(days=1), None, None]),
    "nothing": pl.Series([None, None, None]),
    "count": pl.Series([1, None, 3]),
    "=probability": np.asarray([0.25, 0.5, 1.0]),
    "prediction": np.asarray([b"yes", b"no", b"+"]),
    "object": np.asarray(["x", None, "y"], dtype=object),
}


@pytest.mark.parametrize("name", ["out.csv", "out.tsv", "out.csv.gz", "out.tsv.zst", None])
def test_columns_of_every_kind_are_written_as_text(tmp_path, capsys, name):
    write_table(WRITTEN, name and tmp_path / name)
    if name is None:
        (tmp_path / "out.csv").write_text(capsys.readouterr().out)
    frame = read_table(tmp_path / (name or "out.csv"), text=["id"]).frame
    assert frame.columns == [*list(WRITTEN)[:6], "'=probability", "prediction", "object"]
    assert frame.rows() == [
        ("007", "2020-01-31", "'-a", "P1D", None, 1, 0.25, "yes", "x"),
        (None, None, "b", None, None, None, 0.5, "no", None),
        ("'=1", None, None, None, None, 3, 1.0, "'+", "y"),
    ]


def test_columns_of_every_kind_are_written_to_parquet(tmp_path):
    columns = WRITTEN | {"parts": pl.Series([[1], [], None])}
    write_table(columns, tmp_path / "out.parquet")
    frame = read_table(tmp_path / "out.parquet").frame
    for name in ("id", "day", "wait", "count", "parts"):
        assert frame[name].to_list() == columns[name].to_list()
    with pytest.raises(
        ValueError, match=r"the column 'parts' of List\(Int64\) cannot be written as text; write \.parquet"
    ):
        write_table(columns, tmp_path / "out.csv")
    with pytest.raises(ValueError, match=r"out\.xlsx: tables are written as \.csv or \.tsv"):
        write_table(columns, tmp_path / "out.xlsx")
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]
