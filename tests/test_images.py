"""Pictures as columns of numbers: flattened and back, from a folder, from the course's files."""

import os
import re
import sys

import numpy as np
import pytest

import xlogreg
from xlogreg import images

rng = np.random.default_rng(0)
PICTURES = rng.integers(0, 256, (5, 4, 3, 3), dtype=np.uint8)


def test_flattening_is_the_line_of_the_notes_on_every_library(where):
    pictures = where.asarray(PICTURES)
    X = images.flatten(pictures)
    where.check(X, PICTURES.reshape(PICTURES.shape[0], -1).T, shape=(36, 5))
    where.check(images.unflatten(X, (4, 3, 3)), PICTURES)


@pytest.mark.parametrize("shape", [(7, 2), (7, 2, 3), (7, 2, 3, 4, 5)])
def test_samples_of_any_shape_are_flattened_and_brought_back(shape):
    values = rng.standard_normal(shape)
    np.testing.assert_array_equal(images.flatten(values), values.reshape(7, -1).T)
    np.testing.assert_array_equal(images.unflatten(images.flatten(values), shape[1:]), values)


def test_pictures_become_columns_without_a_copy_and_go_straight_into_fit():
    X = images.flatten(PICTURES)
    assert np.shares_memory(X, PICTURES)
    model = xlogreg.fit(X, [0, 1, 0, 1, 0], l2=0.1, standardize=255)
    scaled = xlogreg.fit(X / 255, [0, 1, 0, 1, 0], l2=0.1)
    np.testing.assert_allclose(images.unflatten(model.w * 255, (4, 3, 3))[0].ravel(), scaled.w[:, 0], rtol=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: images.flatten(np.zeros(3)), "pictures must have the shape (m, h, w, c), one sample each; got (3,)"),
        (
            lambda: images.unflatten(np.zeros((12, 2)), (2, 2)),
            "X must have the shape (4, m) for pictures (2, 2); got (12, 2)",
        ),
        (lambda: images.load_folder(".", 0), "size must be a whole number of pixels, 1 or more, not 0"),
        (lambda: images.load_folder(".", 8.0), "size must be a whole number of pixels, 1 or more, not 8.0"),
    ],
)
def test_wrong_shapes_and_sizes_are_named(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


@pytest.fixture
def folder(tmp_path):
    """Three cats, the second in a subfolder, and two dogs: even pictures of different brightness."""
    Image = pytest.importorskip("PIL.Image")
    for value, name in enumerate(("cat/a.png", "cat/b/c.png", "cat/d.png", "dog/e.png", "dog/f.png")):
        path = tmp_path / "pets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (5, 9), 10 * value).save(path)
    return tmp_path / "pets"


def test_a_folder_is_loaded_class_by_class(folder):
    found = images.load_folder(folder, 4)
    assert found.pictures.shape == (5, 4, 4, 3)
    assert found.pictures.dtype == np.uint8
    assert found.pictures[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40]
    assert found.Y.tolist() == [["cat", "cat", "cat", "dog", "dog"]]
    assert [str(file.relative_to(folder)) for file in found.files] == [
        "cat/a.png",
        "cat/b/c.png",
        "cat/d.png",
        "dog/e.png",
        "dog/f.png",
    ]
    assert (found.classes, found.skipped) == (("cat", "dog"), ())
    assert repr(found) == "Pictures(5 of 4 x 4: 3 'cat', 2 'dog'; 0 skipped)"
    np.testing.assert_array_equal(found.X, images.flatten(found.pictures))
    model = xlogreg.fit(found.X, found.Y, l2=1e-3, standardize=255)
    np.testing.assert_array_equal(model.predict(found.X), found.Y)
    part = found.take(np.asarray([4, 1]))
    assert part.Y.tolist() == [["dog", "cat"]]
    assert part.pictures[:, 0, 0, 0].tolist() == [40, 10]
    assert [file.name for file in part.files] == ["f.png", "c.png"]


def test_what_is_skipped_leaves_no_gap(folder):
    (folder / "cat" / "a.png").write_bytes(b"")
    (folder / "dog" / "note.txt").write_text("not a picture")
    (folder / "list.csv").write_text("a,b")
    found = images.load_folder(folder, 4)
    assert found.pictures[:, 0, 0, 0].tolist() == [10, 20, 30, 40]
    assert found.Y.tolist() == [["cat", "cat", "dog", "dog"]]
    assert [(file.relative_to(folder).as_posix(), reason.partition(" of ")[0]) for file, reason in found.skipped] == [
        ("cat/a.png", "empty"),
        ("dog/note.txt", "no picture"),
        ("list.csv", "not in the folder"),
    ]
    with pytest.raises(ValueError, match=f"^{re.escape(str(folder / 'cat' / 'a.png'))}: empty$"):
        images.load_folder(folder, 4, strict=True)


def test_a_folder_without_two_classes_is_refused_with_what_was_found(folder, tmp_path):
    expected = "expected two or more, one for each class, with the pictures in them"
    with pytest.raises(ValueError, match=rf"cat holds one folder, 'b' \(and 2 other files\); {expected}"):
        images.load_folder(folder / "cat")
    with pytest.raises(ValueError, match=f"holds one folder, 'pets'; {expected}"):
        images.load_folder(tmp_path)
    with pytest.raises(ValueError, match=rf"holds no folder \(and 2 other files\); {expected}"):
        images.load_folder(folder / "dog")
    with pytest.raises(NotADirectoryError):
        images.load_folder(folder / "dog" / "e.png")
    with pytest.raises(FileNotFoundError):
        images.load_folder(folder / "bird")


def test_a_class_without_pictures_is_refused(folder):
    (folder / "bird").mkdir()
    with pytest.raises(ValueError, match=r"^the folder 'bird' holds no picture that can be read; put pictures there"):
        images.load_folder(folder)
    (folder / "bird" / "egg.jpg").write_bytes(b"")
    said = rf"'bird' holds no picture that can be read \(1 skipped; the first: {folder}/bird/egg.jpg: empty\)"
    with pytest.raises(ValueError, match=said):
        images.load_folder(folder)


@pytest.fixture
def write_h5(tmp_path):
    h5py = pytest.importorskip("h5py")

    def write(**sets):
        path = tmp_path / "cats.h5"
        with h5py.File(path, "w") as file:
            for name, values in sets.items():
                file[name] = values
        return path

    return write


COURSE = {
    "train_set_x": PICTURES,
    "train_set_y": np.asarray([0, 1, 1, 0, 1]),
    "list_classes": np.asarray([b"non-cat", b"cat"]),
}


@pytest.mark.parametrize("part", ["train", "test"])
def test_the_files_of_the_course_are_loaded(write_h5, part):
    path = write_h5(**{name.replace("train", part): values for name, values in COURSE.items()})
    found = images.load_h5(path)
    np.testing.assert_array_equal(found.pictures, PICTURES)
    assert found.Y.tolist() == [["non-cat", "cat", "cat", "non-cat", "cat"]]
    assert found.classes == ("cat", "non-cat")
    assert found.files == (path,) * 5
    assert xlogreg.fit(found.X, found.Y, l2=1.0, standardize=255).classes.tolist() == ["cat", "non-cat"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_set_y": None}, "it lacks train_set_y"),
        ({"list_classes": None}, "it lacks list_classes"),
        ({"train_set_x": None}, "expected train_set_x or test_set_x, found list_classes, train_set_y"),
        ({"test_set_x": PICTURES}, "expected train_set_x or test_set_x, found"),
        ({"train_set_x": PICTURES / 255}, "train_set_x must be of uint8 and have the shape (m, h, w, 3)"),
        ({"train_set_x": PICTURES[0]}, "train_set_x must be of uint8 and have the shape (m, h, w, 3)"),
        ({"train_set_y": np.asarray([0, 1])}, "train_set_y must be whole numbers (5,); it is int64 (2,)"),
        ({"train_set_y": np.asarray([0, 1, 2, 0, 1])}, "train_set_y must hold numbers of the 2 classes"),
    ],
)
def test_other_hdf5_files_are_refused_with_the_reason(write_h5, change, message):
    sets = {name: values for name, values in (COURSE | change).items() if values is not None}
    with pytest.raises(ValueError, match=re.escape(message)):
        images.load_h5(write_h5(**sets))


def test_what_is_no_hdf5_file_is_refused(tmp_path, write_h5):
    path = write_h5(**COURSE)
    (tmp_path / "cut.h5").write_bytes(path.read_bytes()[:900])
    (tmp_path / "text.h5").write_text("not one")
    files = [tmp_path / "cut.h5", tmp_path / "text.h5"]
    if os.name == "posix":
        os.mkfifo(tmp_path / "pipe.h5")
        files.append(tmp_path / "pipe.h5")
    for file in files:
        with pytest.raises(ValueError, match="is no file of pictures as the course has them: "):
            images.load_h5(file)
    with pytest.raises(FileNotFoundError):
        images.load_h5(tmp_path / "none.h5")


def test_without_h5py_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=re.escape("pip install 'xlogreg[h5]'")):
        images.load_h5(tmp_path / "cats.h5")
