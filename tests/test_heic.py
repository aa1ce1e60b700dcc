"""HEIC pictures, as phones take them and as strangers make them; each is really written by its test."""

import io
import struct
import sys

import numpy as np
import pytest
from test_picture_files import read, scene

from xlogreg.images import files as picture_files
from xlogreg.images import heic

Image = pytest.importorskip("PIL.Image")
ImageOps = pytest.importorskip("PIL.ImageOps")
pillow_heif = pytest.importorskip("pillow_heif")


def encoded(picture, **options):
    stream = io.BytesIO()
    pillow_heif.from_pillow(picture).save(stream, quality=90, **options)
    return stream.getvalue()


@pytest.fixture(scope="module")
def photo():
    return encoded(scene(64, 96))


def test_pictures_are_read_and_turned_upright(tmp_path):
    for orientation in (1, 3, 6, 8):
        exif = Image.Exif()
        exif[picture_files.ORIENTATION] = orientation
        stream = io.BytesIO()
        scene(64, 96).save(stream, "PNG", exif=exif)
        upright = ImageOps.exif_transpose(Image.open(stream)).convert("RGB")
        expected = np.asarray(upright.resize((8, 8), Image.Resampling.BILINEAR)).astype(int)
        found = read(tmp_path, encoded(scene(64, 96), exif=exif.tobytes()), name="IMG_0001.HEIC")
        np.testing.assert_allclose(found, expected, atol=12)


@pytest.mark.parametrize(
    ("picture", "colour"),
    [
        (Image.new("L", (64, 64), 120), (120, 120, 120)),
        (Image.new("RGBA", (64, 64), (200, 100, 0, 128)), (227, 177, 127)),
        (Image.fromarray(np.full((64, 64), 51400, dtype=np.uint16)), (200, 200, 200)),
    ],
)
def test_every_kind_of_colour_becomes_rgb(tmp_path, picture, colour):
    np.testing.assert_allclose(read(tmp_path, encoded(picture), 4), np.broadcast_to(colour, (4, 4, 3)), atol=4)


def declaring(content, width, height, at=0):
    """The same file with another width and height in one of its parts."""
    place = content.split(b"ispe")[: at + 1]
    start = len(b"ispe".join(place)) + 8
    return content[:start] + struct.pack(">II", width, height) + content[start + 8 :]


def test_what_is_hostile_or_damaged_is_refused_with_the_reason(tmp_path, photo):
    tiles = encoded(scene(128, 128), tile_size=64)
    grid = struct.pack(">BBBBHH", 0, 0, 1, 1, 128, 128)
    assert tiles.count(grid) == 1
    item = photo.index(b"infe")
    for content, reason in (
        (declaring(photo, 60_000, 60_000), "a part of 60000 x 60000 pixels, more than 67108864 in all"),
        (declaring(tiles, 9_000, 9_000, at=1), "a part of 9000 x 9000 pixels, more than 67108864 in all"),
        (declaring(encoded(scene(320, 320)), 16, 16), "Security limit exceeded: Image size"),
        (tiles.replace(grid, struct.pack(">BBBBHH", 0, 0, 255, 255, 128, 128)), ""),
        (photo[: item + 12] + b"iovl" + photo[item + 16 :], "a HEIC picture that lays others over each other"),
        (photo[:-40], "Unexpected end of file"),
        (photo[:40], "Invalid input"),
        (photo[:12], ""),
    ):
        found = read(tmp_path, content)
        assert isinstance(found, str)
        assert reason in found, found
        assert found.isprintable()


def test_all_tiles_together_are_limited(tmp_path, monkeypatch):
    content = encoded(scene(128, 128), tile_size=64)
    grid, lying = (struct.pack(">BBBBHH", 0, 0, 1, 1, side, side) for side in (128, 64))
    lying = declaring(declaring(content, 64, 64), 64, 64, at=1).replace(grid, lying)
    assert read(tmp_path, content).shape == (8, 8, 3)
    monkeypatch.setattr(picture_files, "MOST_PIXELS", 64 * 64)
    assert read(tmp_path, lying) == "a part of 128 x 128 pixels, more than 4096 in all"


def test_damaged_bytes_give_a_picture_or_a_reason(tmp_path, photo):
    rng = np.random.default_rng(0)
    for number in range(100):
        damaged = bytearray(photo[: rng.integers(len(photo))] if number % 2 else photo)
        for place in rng.integers(len(damaged), size=4) if damaged else ():
            damaged[place] ^= 1 << rng.integers(8)
        found = read(tmp_path, bytes(damaged), 4)
        assert found.isprintable() if isinstance(found, str) else found.shape == (4, 4, 3)


def test_nothing_is_registered_with_pillow(tmp_path, photo):
    before = set(Image.OPEN), set(Image.EXTENSION)
    assert read(tmp_path, photo).shape == (8, 8, 3)
    assert (set(Image.OPEN), set(Image.EXTENSION)) == before


def test_without_pillow_heif_the_extra_is_named(tmp_path, photo, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert read(tmp_path, photo) == "a HEIC picture, which needs pillow-heif: pip install 'xlogreg[heic]'"
    assert heic.is_heic(photo)
