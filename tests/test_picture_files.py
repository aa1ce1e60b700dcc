"""Picture files of every kind, as they come and as strangers make them; each is really written by its test."""

import contextlib
import io
import os
import re
import struct
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest

from xlogreg.images import files as picture_files
from xlogreg.images.files import Skipped, find_pictures, read_pictures

Image = pytest.importorskip("PIL.Image")
ImageFile = pytest.importorskip("PIL.ImageFile")
ImageOps = pytest.importorskip("PIL.ImageOps")

GREY = np.full((6, 6), 120, dtype=np.uint8)
POSIX = pytest.mark.skipif(os.name != "posix", reason="other systems have no such files")


def scene(height=40, width=60):
    """Whose corners are of four colours, so that no turn of it looks like another."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    half, middle = height // 2, width // 2
    pixels[:half, :middle], pixels[:half, middle:] = (255, 0, 0), (0, 255, 0)
    pixels[half:, :middle], pixels[half:, middle:] = (0, 0, 255), (250, 250, 20)
    return Image.fromarray(pixels)


def encoded(picture, kind, **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, depth, kind, rows, *before):
    """A PNG by hand: kind 0 is grey, 2 colour."""
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + head
        + b"".join(before)
        + png_chunk(b"IDAT", zlib.compress(rows))
        + png_chunk(b"IEND", b"")
    )


def read(folder, content, size=8, name="picture.png"):
    """The picture, or why there is none."""
    (folder / name).write_bytes(content)
    pictures, reasons = read_pictures([folder / name], size)
    return reasons[0] or pictures[0]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_pictures_are_turned_upright(tmp_path, kind):
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[picture_files.ORIENTATION] = orientation
        content = encoded(scene(), kind, exif=exif)
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
        expected = np.asarray(upright.resize((8, 8), Image.Resampling.BILINEAR)).astype(int)
        np.testing.assert_allclose(read(tmp_path, content), expected, atol=8)


def test_damaged_exif_is_no_reason_to_lose_a_picture(tmp_path):
    whole = encoded(scene(), "PNG")
    for exif in (b"no exif at all", b"II*\0\x08\0\0\0\xff\xff" + bytes(30)):
        content = whole[:33] + png_chunk(b"eXIf", exif) + whole[33:]
        np.testing.assert_array_equal(read(tmp_path, content), read(tmp_path, whole))


def transparent(mode, *values):
    return Image.new(mode, (6, 6), values if len(values) > 1 else values[0])


def palette(transparency):
    picture = Image.new("P", (6, 6), 1)
    picture.putpalette([0, 0, 0, 200, 100, 50])
    return encoded(picture, "PNG", transparency=transparency)


def inverted_cmyk():
    return encoded(Image.new("CMYK", (6, 6), (0, 255, 255, 0)), "JPEG")


MODES = {
    "grey": (encoded(Image.fromarray(GREY), "PNG"), (120, 120, 120)),
    "black and white": (encoded(Image.new("1", (6, 6), 1), "PNG"), (255, 255, 255)),
    "grey of 16 bits": (png(6, 6, 16, 0, (b"\0" + b"\xc8\xff" * 6) * 6), (200, 200, 200)),
    "grey of 16 bits, transparent": (
        png(6, 6, 16, 0, (b"\0" + b"\xc8\xff" * 6) * 6, png_chunk(b"tRNS", b"\xc8\xff")),
        (255, 255, 255),
    ),
    "grey of 16 bits, TIFF": (
        encoded(Image.fromarray(np.full((6, 6), 51400, dtype=np.uint16)), "TIFF"),
        (200, 200, 200),
    ),
    "colours of 16 bits": (png(6, 6, 16, 2, (b"\0" + b"\xc8\0\x64\0\x32\0" * 6) * 6), (200, 100, 50)),
    "CMYK": (inverted_cmyk(), (254, 0, 0)),
    "palette": (encoded(Image.new("RGB", (6, 6), (200, 100, 50)).quantize(4), "GIF"), (200, 100, 50)),
    "transparent palette": (palette(b"\xff\x00"), (255, 255, 255)),
    "half transparent": (encoded(transparent("RGBA", 200, 100, 0, 128), "PNG"), (227, 177, 127)),
    "half transparent grey": (encoded(transparent("LA", 0, 128), "PNG"), (127, 127, 127)),
    "a transparent colour": (encoded(transparent("RGB", 1, 2, 3), "PNG", transparency=(1, 2, 3)), (255, 255, 255)),
    "WebP": (encoded(transparent("RGBA", 9, 9, 9, 0), "WEBP"), (255, 255, 255)),
    "BMP": (encoded(Image.new("RGB", (6, 6), (200, 100, 50)), "BMP"), (200, 100, 50)),
}


@pytest.mark.parametrize("name", MODES)
def test_every_kind_of_colour_becomes_rgb(tmp_path, name):
    content, colour = MODES[name]
    found = read(tmp_path, content, size=4)
    assert found.shape == (4, 4, 3)
    np.testing.assert_allclose(found, np.broadcast_to(colour, (4, 4, 3)), atol=1)


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_values_without_a_white_are_refused(tmp_path, dtype):
    assert "nothing says which value is white" in read(tmp_path, encoded(Image.fromarray(GREY.astype(dtype)), "TIFF"))


def test_pictures_are_scaled_as_a_whole_and_known_by_their_content(tmp_path):
    for kind, name in (("PNG", "a.jpg"), ("JPEG", "b.gif"), ("TIFF", "c.jpeg"), ("GIF", "d"), ("BMP", "e.txt")):
        corner = read(tmp_path, encoded(scene(), kind), 6, name).astype(int)[::5, ::5]
        corners = [[(255, 0, 0), (0, 255, 0)], [(0, 0, 255), (250, 250, 20)]]
        np.testing.assert_allclose(corner, corners, atol=20)
    same = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(read(tmp_path, encoded(Image.fromarray(same), "PNG"), 8), same)


def test_large_jpegs_are_decoded_at_a_part_of_their_size(tmp_path, monkeypatch):
    sizes, resize = [], Image.Image.resize
    monkeypatch.setattr(Image.Image, "resize", lambda self, *rest: sizes.append(self.size) or resize(self, *rest))
    content = encoded(scene(600, 900), "JPEG", quality=95)
    drafted = read(tmp_path, content, 16).astype(int)
    assert sizes == [(113, 75)]
    expected = np.asarray(Image.open(io.BytesIO(content)).resize((16, 16), Image.Resampling.BILINEAR)).astype(int)
    assert np.max(np.abs(drafted - expected)) <= 20
    assert np.mean(np.abs(drafted - expected)) < 1


def test_the_first_frame_is_taken(tmp_path):
    frames = [Image.new("RGB", (6, 6), colour) for colour in ("red", "blue", "lime")]
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        more = {"lossless": True} if kind == "WEBP" else {}
        found = read(tmp_path, encoded(frames[0], kind, save_all=True, append_images=frames[1:], **more), 4)
        np.testing.assert_array_equal(found, np.broadcast_to((255, 0, 0), (4, 4, 3)))


def tiff_of_overlapping_tags():
    """Whose 40,000 tags all declare the same 400 kB, 16 GB in all."""
    count, size = 40_000, 400_000
    entries = b"".join(struct.pack("<HHII", 1000 + number, 1, size, 0) for number in range(count))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", count) + entries + bytes(4)


def jpeg_of_scans(count):
    whole = encoded(scene(160, 160), "JPEG", progressive=True)
    last = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + last * count + whole[-2:]


def webp_canvas(width, height):
    body = (
        b"WEBPVP8X"
        + struct.pack("<IB3x", 10, 2)
        + (width - 1).to_bytes(3, "little")
        + (height - 1).to_bytes(3, "little")
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


PHOTO = encoded(scene(200, 300), "JPEG")
HOSTILE = {
    "bomb.png": (png(60_000, 60_000, 8, 2, b""), "3600000000 pixels"),
    "large.png": (png(9_000, 9_000, 8, 2, b""), "9000 x 9000 pixels, more than 67108864 in all"),
    "warned.png": (png(12_000, 10_000, 8, 2, b""), "120000000 pixels"),
    "bomb.gif": (b"GIF89a" + struct.pack("<HH", 60_000, 60_000) + b"\x80\0\0" + bytes(6) + b",", "no picture|pixels"),
    "bomb.webp": (webp_canvas(2**24, 2**24), "pixels|could not create decoder"),
    "cut.jpg": (PHOTO[: len(PHOTO) // 2], "image file is truncated"),
    "cut.png": (encoded(scene(), "PNG")[:-30], "truncated|broken"),
    "head.jpg": (PHOTO[:20], "no picture|[Tt]runcated"),
    "empty.png": (b"", "^empty$"),
    "text.png": (b"this is no picture", "^no picture of the formats PNG, JPEG, BMP, GIF, WEBP, TIFF, HEIC$"),
    "text chunk.png": (
        png(6, 6, 8, 0, bytes(42), png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**26)))),
        "[Dd]ecompressed data too large",
    ),
    "tags.tif": (tiff_of_overlapping_tags(), "no picture"),
    "scans.jpg": (jpeg_of_scans(200), "^a progressive JPEG of more than 100 scans$"),
    "postscript.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "no picture"),
    "portable.png": (b"P6 2 2 255\n" + bytes(12), "no picture"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_hostile_or_damaged_is_refused_with_the_reason(tmp_path, name):
    content, reason = HOSTILE[name]
    found = read(tmp_path, content, name=name)
    assert isinstance(found, str)
    assert re.search(reason, found), found
    assert found.isprintable()


def test_only_the_formats_of_the_list_are_ever_asked(tmp_path, monkeypatch):
    Image.init()
    asked = []
    watched = {
        kind: (lambda *given, factory=factory, kind=kind: asked.append(kind) or factory(*given), accept)
        for kind, (factory, accept) in Image.OPEN.items()
    }
    monkeypatch.setattr(Image, "OPEN", watched)
    for name in ("postscript.png", "portable.png", "text.png"):
        read(tmp_path, HOSTILE[name][0])
    Image.open(io.BytesIO(HOSTILE["portable.png"][0]))  # which asks them all: the watch works
    assert asked == ["PPM"]


def test_a_progressive_jpeg_of_usual_scans_is_read(tmp_path):
    for count in (0, 50):
        content = jpeg_of_scans(count)
        assert picture_files._count_scans(content) == 10 + count
        assert read(tmp_path, content).shape == (8, 8, 3)
    behind = jpeg_of_scans(0) + b"\xff\xda" * 500  # what phones append is not decoded
    assert read(tmp_path, behind).shape == (8, 8, 3)


def test_a_file_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(picture_files, "MOST_BYTES", 1000)
    assert read(tmp_path, bytes(1001)) == "1001 bytes, more than 1000"


def test_nothing_of_pillow_is_set_and_no_warning_leaks(tmp_path):
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        inside = list(warnings.filters)
        for content, _ in HOSTILE.values():
            read(tmp_path, content)
        assert warnings.filters == inside
    assert caught == []
    assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters)) == before


def test_neither_threads_nor_order_change_what_is_read(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    files = []
    for number in range(20):
        files.append(tmp_path / f"{number}")
        files[-1].write_bytes(encoded(Image.fromarray(rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)), "PNG"))
    files[3].write_bytes(b"")
    answers = []
    for threads in (1, 8):
        monkeypatch.setattr(picture_files, "MOST_THREADS", threads)
        monkeypatch.setattr(os, "cpu_count", lambda: 8)
        answers.append(read_pictures(files, 5))
    np.testing.assert_array_equal(answers[0][0], answers[1][0])
    assert answers[0][1] == answers[1][1] == ["empty" if number == 3 else "" for number in range(20)]
    assert not answers[0][0][3].any()


@pytest.mark.parametrize("tqdm", [True, False])
def test_progress_is_one_line_on_standard_error(tmp_path, capsys, monkeypatch, tqdm):
    if not tqdm:
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    (tmp_path / "a").write_bytes(PHOTO)
    read_pictures([tmp_path / "a"] * 3, 4, progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "pictures: " in shown.err
    assert ("3/3" if tqdm else "3 of 3") in shown.err
    assert shown.err.count("\n") == 1


def folder_of(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PHOTO)


def told(root, skipped):
    return {str(file.relative_to(root)): reason for file, reason in skipped}


def test_files_are_found_in_order_below_their_class(tmp_path):
    folder_of(tmp_path, "dog/2", "dog/10", "dog/1", "cat/old/b", "cat/a", "cat/old/older/c", "loose.jpg")
    folder_of(tmp_path, "cat/.hidden", "cat/.ipynb_checkpoints/a", ".git/b", "cat/Thumbs.db", "dog/desktop.ini")
    folder_of(tmp_path, ".DS_Store", "__MACOSX/cat/a")
    found, skipped = find_pictures(tmp_path)
    names = {name: [str(file.relative_to(tmp_path / name)) for file in files] for name, files in found.items()}
    assert names == {"cat": ["a", "old/b", "old/older/c"], "dog": ["1", "10", "2"]}
    assert list(names) == ["cat", "dog"]
    assert told(tmp_path, skipped) == {"loose.jpg": "not in the folder of a class"}


@POSIX
def test_links_out_of_the_folder_and_links_to_folders_are_not_followed(tmp_path):
    root = tmp_path / "root"
    folder_of(root, "cat/a", "dog/b")
    folder_of(tmp_path, "outside/secret")
    (root / "cat" / "inside").symlink_to(root / "dog" / "b")
    (root / "cat" / "out").symlink_to(tmp_path / "outside" / "secret")
    (root / "cat" / "outer").symlink_to("../../outside/secret")
    (root / "cat" / "far").symlink_to(tmp_path / "outside")
    (root / "cat" / "loop").symlink_to(root)
    (root / "cat" / "itself").symlink_to("itself")
    (root / "bird").symlink_to(tmp_path / "outside")
    (tmp_path / "alias").symlink_to(root)
    for start in (root, tmp_path / "alias"):
        found, skipped = find_pictures(start)
        assert [file.name for file in found["cat"]] == ["a", "inside", "itself"]
        assert told(start, skipped) == {
            "bird": "a link to a folder",
            "cat/far": "a link to a folder",
            "cat/loop": "a link to a folder",
            "cat/out": "a link that leaves the folder",
            "cat/outer": "a link that leaves the folder",
        }
        reasons = read_pictures(found["cat"], 4)[1]
        assert reasons == ["", "", "Too many levels of symbolic links"]


@POSIX
def test_what_is_no_file_is_never_waited_for(tmp_path):
    folder_of(tmp_path, "cat/a")
    os.mkfifo(tmp_path / "cat" / "pipe")
    found, _ = find_pictures(tmp_path)
    files = [*found["cat"], Path("/dev/zero"), tmp_path / "cat", tmp_path / "none"]
    assert read_pictures(files, 4)[1] == [
        "",
        "no regular file",
        "no regular file",
        "Is a directory",
        "No such file or directory",
    ]


@POSIX
def test_names_that_are_no_text_are_read_and_shown_in_one_line(tmp_path):
    names = [b"new\nline.png", b"\x1b[31mred.png", b"caf\xe9.png", "日本.png".encode(), "\u202egnp.exe".encode()]
    for name in names:
        path = os.path.join(os.fsencode(tmp_path), b"cat", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(PHOTO)
    (tmp_path / "bad\nclass").mkdir()
    found, skipped = find_pictures(tmp_path)
    assert list(found) == ["cat"]
    assert read_pictures(found["cat"], 4)[1] == [""] * len(names)
    assert str(skipped[0]) == f"{tmp_path}/bad\\nclass: the name of a class must be printable"
    for file in found["cat"]:
        line = str(Skipped(file, "empty"))
        assert line.isprintable()
        line.encode()


@POSIX
@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="root may read everything")
def test_files_and_folders_that_may_not_be_read_are_skipped(tmp_path):
    folder_of(tmp_path, "cat/a", "cat/locked/b")
    (tmp_path / "cat" / "a").chmod(0)
    (tmp_path / "cat" / "locked").chmod(0)
    found, skipped = find_pictures(tmp_path)
    (tmp_path / "cat" / "locked").chmod(0o700)
    assert told(tmp_path, skipped) == {"cat/locked": "Permission denied"}
    assert read_pictures(found["cat"], 4)[1] == ["Permission denied"]


@POSIX
def test_a_folder_in_a_thousand_folders_is_found(tmp_path):
    names = ["cat"] + ["x"] * 1200  # more than Python's limit of recursion
    with contextlib.chdir(tmp_path):
        for name in names:
            os.mkdir(name)
            os.chdir(name)
        Path("a").write_bytes(PHOTO)
        found, skipped = find_pictures(tmp_path)
        os.remove("a")
        for name in reversed(names):  # which is too deep for pytest to clean up
            os.chdir("..")
            os.rmdir(name)
    assert found["cat"] == [tmp_path.joinpath(*names, "a")]
    assert skipped == []


def test_without_pillow_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=re.escape("pip install 'xlogreg[images]'")):
        read_pictures([], 4)


def test_a_pillow_that_is_too_old_is_refused(monkeypatch):
    monkeypatch.setattr(Image, "__version__", "12.3.0")
    with pytest.raises(ImportError, match=r"^pictures need Pillow 13 or later, not 12\.3\.0: pip install"):
        read_pictures([], 4)
