"""Pictures show what was fitted: what is drawn is compared with the values themselves."""

import dataclasses
import sys

import numpy as np
import pytest
from conftest import QUICK
from sklearn.calibration import calibration_curve

import xlogreg
from xlogreg.plots import (
    CalibrationDisplay,
    ConfusionMatrixDisplay,
    DecisionBoundaryDisplay,
    LearningCurvesDisplay,
    PathDisplay,
    ScoresDisplay,
    WeightsDisplay,
)

mpl = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
pyplot, Figure = pytest.importorskip("matplotlib.pyplot"), pytest.importorskip("matplotlib.figure").Figure
ContourSet = pytest.importorskip("matplotlib.contour").ContourSet


@pytest.fixture(autouse=True)
def no_figures():
    """Those that other tests left open are not in the way."""
    pyplot.close("all")
    yield
    pyplot.close("all")


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


@pytest.fixture(scope="module")
def descents(problem):
    """Gradient descent at two rates, and the default solver, on one objective."""
    X, Y = problem
    rates = {f"rate {rate}": {"solver": "gd", "learning_rate": rate, "max_iter": 60} for rate in (0.02, 0.1)}
    return {name: xlogreg.fit(X, Y, l2=1e-2, **more) for name, more in {**rates, "default": {}}.items()}


def data_of(ax):
    return {line.get_label(): line.get_xydata().T for line in ax.lines}


def test_learning_curves_are_the_costs_of_the_models(descents, ax):
    LearningCurvesDisplay.from_models(descents, over="iterations", ax=ax)
    drawn = data_of(ax)
    assert list(drawn) == list(descents)
    for name, model in descents.items():
        np.testing.assert_array_equal(drawn[name], [np.arange(1, len(model.costs) + 1), model.costs])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(descents)
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()) == ("iteration", "cost J", "linear")


def test_costs_above_the_best_end_at_the_passes_that_were_made(descents, ax):
    display = LearningCurvesDisplay.from_models(descents, above_best=True, ax=ax)
    best = min(model.fit_info.cost for model in descents.values())
    assert display.best == pytest.approx(best, rel=1e-12)
    for name, (passes, above) in data_of(ax).items():
        model = descents[name]
        np.testing.assert_allclose(above, (model.costs - best)[: len(above)], rtol=1e-6, atol=1e-14)
        assert len(above) >= len(model.costs) - 2  # what is left out is rounding error
        assert display.positions[name][-1] == model.fit_info.passes
        np.testing.assert_array_equal(np.diff(passes), 1.0)
        assert passes[0] >= 1.0
    assert (ax.get_xlabel(), ax.get_yscale()) == ("passes over the samples", "log")


def test_fits_of_very_different_lengths_share_a_logarithmic_axis(descents, ax):
    two = [descents["rate 0.1"], descents["default"]]
    assert len(two[0].costs) > 10 > len(two[1].costs) > 1
    LearningCurvesDisplay.from_models(two[:1], over="iterations", ax=ax)
    assert ax.get_xscale() == "linear"
    long = xlogreg.fit(np.asarray([[-2.0, -1.0, 1.0, 2.0]]), [0, 1, 0, 1], solver="gd", learning_rate=0.1, max_iter=200)
    LearningCurvesDisplay.from_models([long, two[1]], ax=ax)
    assert ax.get_xscale() == "log"
    assert list(data_of(ax)) == ["1: gd", "2: newton"]


@pytest.mark.filterwarnings("ignore::xlogreg.DivergenceWarning")
def test_a_fit_that_diverged_is_drawn_as_far_as_its_costs_are_finite(problem, ax):
    X, Y = problem
    options = {"solver": "gd", "learning_rate": 1e5, "max_iter": 400, "loss": "log_loss"}
    model = xlogreg.fit(X * 1e153, Y, **options)
    assert not np.all(np.isfinite(model.costs))
    LearningCurvesDisplay.from_models([model], ax=ax)
    assert data_of(ax)["1: gd"].shape[1] == np.sum(np.isfinite(model.costs)) > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"over": "seconds"}, "over must be 'passes' or 'iterations', not 'seconds'"),
        ({"models": []}, "models is empty"),
    ],
)
def test_curves_of_nothing_are_refused(descents, change, message):
    with pytest.raises(ValueError, match=message):
        LearningCurvesDisplay.from_models(**{"models": descents, **change})


def test_models_whose_costs_were_not_kept_are_refused_by_name(descents):
    without = dataclasses.replace(descents["default"], costs=np.zeros(0))
    with pytest.raises(ValueError, match="the model 'mine' has no costs"):
        LearningCurvesDisplay.from_models({"mine": without})


@pytest.mark.parametrize("samples", ["columns", "rows"])
@pytest.mark.parametrize("bins", [5, 10])
def test_the_calibration_curve_is_that_of_scikit_learn(problem, samples, bins, ax):
    X, Y = problem
    X, names = X.T if samples == "rows" else X, np.asarray(["no", "yes"])[Y]
    model = xlogreg.fit(X, names, samples=samples)
    display = CalibrationDisplay.from_model(model, X, names, bins=bins, ax=ax)
    probability = model.predict_proba(X).reshape((-1, 2) if samples == "rows" else (2, -1))
    probability = probability[:, 1] if samples == "rows" else probability[1]
    observed, predicted = calibration_curve(Y, probability, n_bins=bins)
    np.testing.assert_allclose(data_of(ax)["model"], [predicted, observed], rtol=1e-12)
    np.testing.assert_array_equal(display.counts, np.histogram(probability, bins=bins, range=(0.0, 1.0))[0])
    beside = next(axes for axes in ax.figure.axes if axes is not ax)
    assert [bar.get_height() for bar in beside.patches] == display.counts.tolist()
    assert ax.get_xlabel() == "probability of class yes"


def test_of_many_classes_the_predicted_one_is_calibrated(three_classes, ax):
    X, Y = three_classes
    model = xlogreg.fit(X, Y)
    CalibrationDisplay.from_model(model, X, Y, bins=4, ax=ax)
    right = model.predict(X)[0] == Y
    observed, predicted = calibration_curve(right, np.max(model.predict_proba(X), axis=0), n_bins=4)
    np.testing.assert_allclose(data_of(ax)["model"], [predicted, observed], rtol=1e-12)
    # the bars: two standard errors of a share, around the diagonal
    (low, high), *_ = [segment[:, 1] for segment in ax.collections[0].get_segments()]
    count = np.histogram(np.max(model.predict_proba(X), axis=0), bins=4, range=(0.0, 1.0))[0]
    p, n = predicted[0], count[count > 0][0]
    error = 2 * np.sqrt(p * (1 - p) / n)
    assert (low, high) == pytest.approx((max(p - error, 0.0), min(p + error, 1.0)))


@pytest.mark.parametrize("bins", [0, 2.5, True])
def test_bins_that_are_none_are_refused(problem, bins):
    X, Y = problem
    with pytest.raises(ValueError, match="bins must be a whole number of one or more"):
        CalibrationDisplay.from_model(xlogreg.fit(X, Y), X, Y, bins=bins)


def boundaries_in(ax):
    """Points (2, ...) of the lines drawn."""
    paths = [path for part in ax.collections if isinstance(part, ContourSet) for path in part.get_paths()]
    return np.concatenate([path.vertices for path in paths]).T


@pytest.mark.parametrize("samples", ["columns", "rows"])
def test_the_boundary_of_two_classes_is_where_the_score_is_zero(problem, samples, ax):
    X, Y = problem[0][:2], np.asarray(["no", "yes"])[problem[1]]
    X = X.T if samples == "rows" else X
    model = xlogreg.fit(X, Y, samples=samples)
    display = DecisionBoundaryDisplay.from_model(model, X, Y, ax=ax)
    points = boundaries_in(ax)
    assert points.shape[1] > 10
    np.testing.assert_allclose(model.w.T @ points + model.b, 0.0, atol=1e-10)
    first, second = display.first[[0, -1]], display.second[[0, -1]]
    assert ax.images[0].get_extent() == [*first, *second]
    corners = np.asarray([[a, b] for b in second for a in first]).T
    expected = model.predict_proba(corners.T if samples == "rows" else corners)
    expected = expected[:, 1] if samples == "rows" else expected[1]
    np.testing.assert_allclose(np.asarray(ax.images[0].get_array())[np.ix_([0, -1], [0, -1])].ravel(), expected)
    for number, name in enumerate(["no", "yes"]):
        scatter = ax.collections[-2 + number]
        assert scatter.get_label() == name
        own = (X if samples == "rows" else X.T)[name == Y]
        np.testing.assert_array_equal(scatter.get_offsets(), own)


def test_between_many_classes_the_two_likeliest_tie(three_classes, ax):
    X, Y = three_classes
    model = xlogreg.fit(X[:2], Y)
    display = DecisionBoundaryDisplay.from_model(model, X[:2], ax=ax)
    Z = np.sort(model.decision_function(boundaries_in(ax)), axis=0)
    # within a cell of the grid where three classes meet, exact elsewhere
    assert np.mean(Z[-1] - Z[-2] < 1e-9) > 0.95
    step = max(np.diff(display.first[:2]), np.diff(display.second[:2]))
    assert np.max(Z[-1] - Z[-2]) < 4 * step * np.max(np.abs(model.w))
    colours, likeliest = np.asarray(ax.images[0].get_array()), np.argmax(display.log_probability, axis=0)
    hues = [colours[likeliest == number].mean(axis=0) for number in range(3)]
    assert [np.argmax(hue) for hue in hues] == [2, 0, 1]  # blue, orange, green
    assert len(ax.collections[-1].get_offsets()) == X.shape[1]


def test_a_plane_without_a_boundary_has_none(ax):
    X = np.asarray([[0.0, 1.0, 0.5, 0.2], [0.0, 0.3, 1.0, 0.7]])
    model = xlogreg.fit(X, [0, 1, 1, 1], l2=10.0)
    DecisionBoundaryDisplay.from_model(model, X, ax=ax)
    assert not any(isinstance(part, ContourSet) for part in ax.collections)


def test_a_boundary_needs_two_features_and_finite_samples(problem):
    X, Y = problem
    with pytest.raises(ValueError, match="a plane has two features, but the model has 4"):
        DecisionBoundaryDisplay.from_model(xlogreg.fit(X, Y), X, Y)
    model = xlogreg.fit(X[:2], Y)
    bad = X[:2].copy()
    bad[1, 7] = np.nan
    with pytest.raises(ValueError, match="row 1, column 7"):
        DecisionBoundaryDisplay.from_model(model, bad, Y)


def test_the_features_of_a_table_name_the_axes_and_the_paths(problem, ax):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(problem[0][:2].T, columns=["age", "dose"])
    model = xlogreg.fit(frame, problem[1], samples="rows")
    DecisionBoundaryDisplay.from_model(model, frame[["dose", "age"]], problem[1], ax=ax)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("age", "dose")
    np.testing.assert_array_equal(ax.collections[-1].get_offsets(), frame[problem[1] == 1])
    ax.clear()
    xlogreg.fit_path(frame, problem[1], [1e-1, 1e-2], samples="rows").plot(ax)
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {"age", "dose"}


def test_a_path_is_its_weights_and_the_largest_are_named(ax):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((14, 300))
    path = xlogreg.fit_path(X, X[3] + 2 * X[5] > rng.logistic(size=300), [1e-1, 1e-3, 1e-2])
    display = PathDisplay.from_path(path, ax=ax)
    order = [1, 2, 0]
    np.testing.assert_array_equal(display.penalties, path.l2[order])
    lines = [line for line in ax.lines if len(line.get_xdata()) == 3]
    drawn = {tuple(line.get_ydata()) for line in lines}
    assert drawn == {tuple(path.w[order, feature, 0]) for feature in range(14)}
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[:2] == ["feature 5", "feature 3"]
    assert len(labels) == 10


def test_no_penalty_stands_at_the_left_of_a_path(problem, ax):
    xlogreg.fit_path(*problem, [1.0, 1e-4, 0.0]).plot(ax)
    assert -1e-4 < ax.get_xlim()[0] < 0.0
    assert 1.0 < ax.get_xlim()[1] < 2.0


def test_the_lines_of_a_path_of_many_classes_have_the_colours_of_the_classes(three_classes, ax):
    X, Y = three_classes
    path = xlogreg.fit_path(X, Y, [1e-1, 1e-2])
    PathDisplay.from_path(path, ax=ax)
    colours = {text.get_text(): line.get_color() for text, line in zip(*_legend(ax), strict=True)}
    assert list(colours) == ["0", "1", "2"]
    for number, colour in enumerate(colours.values()):
        own = [tuple(line.get_ydata()) for line in ax.lines if line.get_color() == colour]
        assert own == [tuple(path.w[::-1, feature, number]) for feature in range(3)]


def _legend(ax):
    return ax.get_legend().get_texts(), ax.get_legend().get_lines()


@pytest.mark.parametrize("scoring", [None, "accuracy"])
def test_scores_are_drawn_with_their_mean_error_and_choice(problem, scoring, ax):
    X, Y = problem
    found = xlogreg.fit_cv(X, Y, [1e-3, 1.0, 1e-1], folds=4)
    ScoresDisplay.from_selection(found, scoring=scoring, ax=ax)
    scores = found.scores[scoring or "log_loss"][:, [0, 2, 1]]
    for fold, line in zip(scores, ax.lines, strict=False):
        np.testing.assert_array_equal(line.get_xydata().T, [[1e-3, 1e-1, 1.0], fold])
    middle, _, bars = ax.containers[0]
    np.testing.assert_allclose(middle.get_ydata(), scores.mean(axis=0))
    ends = np.asarray([segment[:, 1] for segment in bars[0].get_segments()])
    np.testing.assert_allclose(np.diff(ends, axis=1)[:, 0], 2 * scores.std(axis=0, ddof=1) / 2, rtol=1e-9)
    assert ax.lines[-1].get_xdata() == [found.l2[found.chosen]] * 2
    assert ax.get_ylabel() == f"{(scoring or 'log loss')} of the samples held out"


def test_scores_that_there_are_not_are_refused(problem):
    found = xlogreg.fit_cv(*problem, [1e-3, 1.0], folds=3)
    with pytest.raises(ValueError, match="scoring must be 'log_loss' or 'accuracy', not 'f1'"):
        ScoresDisplay.from_selection(found, scoring="f1")


def values_of_displays(X, Y):
    model, path = xlogreg.fit(X, Y, l2=1e-2), xlogreg.fit_path(X, Y, [1.0, 0.1])
    axes = iter(Figure().subplots(6))
    return [
        ConfusionMatrixDisplay.from_model(model, X, Y, ax=next(axes)).confusion,
        CalibrationDisplay.from_model(model, X, Y, bins=3, ax=next(axes)).predicted,
        DecisionBoundaryDisplay.from_model(model, X, Y, ax=next(axes)).log_probability,
        WeightsDisplay.from_model(model, shape=(1, 2), ax=next(axes)).weights,
        LearningCurvesDisplay.from_models({"model": model}, ax=next(axes)).costs["model"][:3],
        path.plot(next(axes)).w,
    ]


ELSEWHERE = ("strict-device1-float64", "strict-no_float64-float32", "torch-float64", "jax-float64", "cupy-float64")


@pytest.mark.parametrize("where", [case for case in QUICK if case.id in ELSEWHERE], indirect=True)
def test_models_of_any_library_are_drawn(where):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2, 50)).astype(where.dtype)
    Y = (X[0] > rng.logistic(size=50)).astype(int)
    near = 1e-8 if where.dtype == "float64" else 1e-3
    for values, others in zip(values_of_displays(where.asarray(X), Y), values_of_displays(X, Y), strict=True):
        assert type(values) is np.ndarray
        np.testing.assert_allclose(values, others, rtol=near, atol=near)


def test_a_display_is_drawn_again_where_it_is_asked_to(faces, ax):
    before = dict(mpl.rcParams)
    report = xlogreg.Report(0.75, 0.5, np.asarray([[1.0, 2.0], [0.0, 5.0]]), np.asarray(["a", "b"]))
    display = ConfusionMatrixDisplay.from_report(report, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    other = Figure().subfigures(1, 2)[1].subplots()
    assert display.plot(other) is display
    assert display.ax_ is other
    assert display.figure_ is other.figure
    assert [text.get_text() for text in other.texts] == [text.get_text() for text in ax.texts]
    assert not pyplot.get_fignums()
    assert dict(mpl.rcParams) == before


def test_without_axes_pyplot_makes_a_figure(faces):
    mpl.use("agg")
    display = WeightsDisplay.from_model(faces[1], shape=(2, 3))
    assert [pyplot.figure(number) for number in pyplot.get_fignums()] == [display.figure_]
    display.figure_.draw_without_rendering()


def test_without_matplotlib_the_extra_is_named(faces, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'xlogreg\[plots\]'"):
        WeightsDisplay.from_model(faces[0], shape=(2, 3))


def test_names_between_dollars_are_text_and_no_mathematics():
    X, Y = np.eye(4) + 0.1, np.asarray(["$a$", "$b$", "$c$", "$a$"])
    model = xlogreg.fit(X, Y, l2=0.1)
    weights = WeightsDisplay.from_model(model, shape=(2, 2), ax=Figure().subplots())
    assert [axes.get_title() for axes in weights.axes_] == [r"\$a\$", r"\$b\$", r"\$c\$"]
    matrix = ConfusionMatrixDisplay.from_model(model, X, Y, ax=Figure().subplots())
    assert [label.get_text() for label in matrix.ax_.get_xticklabels()] == [r"\$a\$", r"\$b\$", r"\$c\$"]
