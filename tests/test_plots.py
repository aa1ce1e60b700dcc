"""Pictures show what was fitted: what is drawn is compared with the values themselves."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import xlogreg
from xlogreg.plots import ConfusionMatrixDisplay, WeightsDisplay


@pytest.fixture
def ax():
    return Figure(layout="constrained").subplots()


@pytest.fixture(scope="module")
def faces():
    """Models of pictures of 2 x 3 pixels, of two classes and of three."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((6, 60))
    two = xlogreg.fit(X, np.where(X[1] > rng.logistic(size=60), "face", "wall"), l2=1e-2)
    return two, xlogreg.fit(X, np.argmax(X[:3] + rng.gumbel(size=(3, 60)), axis=0), l2=1e-2)


def pictures_in(display):
    return [np.asarray(axes.images[0].get_array()) for axes in display.axes_]


def test_the_picture_of_two_classes_is_their_weights(faces, ax):
    model = faces[0]
    display = WeightsDisplay.from_model(model, shape=(2, 3), ax=ax)
    assert display.axes_ == [ax]
    np.testing.assert_array_equal(pictures_in(display)[0], model.w[:, 0].reshape(2, 3))
    image, largest = ax.images[0], np.max(np.abs(model.w))
    assert image.get_clim() == (-largest, largest)
    red, _, blue, _ = image.cmap(image.norm(largest))
    assert red > 2 * blue
    assert image.colorbar.ax.get_ylabel() == "← face   weight   wall →"


def test_each_class_of_many_has_a_picture_of_its_own(faces, ax):
    model = faces[1]
    display = WeightsDisplay.from_model(model, shape=[3, 2], ax=ax)
    assert [axes.get_title() for axes in display.axes_] == ["0", "1", "2"]
    for number, picture in enumerate(pictures_in(display)):
        np.testing.assert_array_equal(picture, model.w[:, number].reshape(3, 2))
    assert {axes.images[0].get_clim() for axes in display.axes_} == {
        (-np.max(np.abs(model.w)), np.max(np.abs(model.w)))
    }


@pytest.mark.parametrize(("number", "titles"), [(0, ["red", "green", "blue"]), (1, ["2 red", "2 green", "2 blue"])])
def test_the_channels_of_coloured_pictures_stand_side_by_side(faces, ax, number, titles):
    model = faces[number]
    display = WeightsDisplay.from_model(model, shape=(1, 2, 3), ax=ax)
    assert [axes.get_title() for axes in display.axes_[-3:]] == titles
    for channel, picture in enumerate(pictures_in(display)[-3:]):
        np.testing.assert_array_equal(picture, model.w[:, -1].reshape(1, 2, 3)[..., channel])


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 3), r"shape \(3, 3\) is that of 9 numbers, but the model has 6 features"),
        ((6,), r"shape must be \(height, width\) or \(height, width, 3\), not \(6,\)"),
        ((1, 3, 2), r"not \(1, 3, 2\)"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(faces, shape, message):
    with pytest.raises(ValueError, match=message):
        WeightsDisplay.from_model(faces[0], shape=shape)


@pytest.mark.parametrize("K", [2, 3])
def test_the_cells_of_the_confusion_matrix_hold_its_counts(K, three_classes, ax):
    X, Y = three_classes
    X, Y = X[:, Y < K], np.asarray(["ant", "bee", "cow"])[Y[Y < K]]
    model = xlogreg.fit(X, Y)
    display = ConfusionMatrixDisplay.from_model(model, X, Y, ax=ax)
    confusion = model.evaluate(X, Y).confusion
    np.testing.assert_array_equal(display.confusion, confusion)
    assert sum(confusion.ravel()) == len(Y)
    drawn = {text.get_position(): float(text.get_text()) for text in ax.texts}
    assert drawn == {(j, i): confusion[i, j] for i in range(K) for j in range(K)}
    np.testing.assert_allclose(ax.images[0].get_array(), confusion / confusion.sum(axis=1, keepdims=True))
    assert [label.get_text() for label in ax.get_xticklabels()] == model.classes.tolist()
    assert [label.get_text() for label in ax.get_yticklabels()] == model.classes.tolist()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")


def test_a_report_is_drawn_as_it_is_and_classes_without_samples_have_no_share(ax):
    report = xlogreg.Report(0.5, 1.0, np.asarray([[0.0, 0.0], [1.25, 3.0]]), np.asarray([3, 7]))
    ConfusionMatrixDisplay.from_report(report, ax=ax)
    assert [text.get_text() for text in ax.texts] == ["0", "0", "1.25", "3"]
    np.testing.assert_allclose(ax.images[0].get_array(), [[0.0, 0.0], [1.25 / 4.25, 3.0 / 4.25]])


def test_numbers_are_left_out_where_nobody_could_read_them(ax):
    report = xlogreg.Report(1.0, 0.0, 1e5 * np.eye(100), np.arange(100))
    ConfusionMatrixDisplay.from_report(report, ax=ax)
    assert not ax.texts
