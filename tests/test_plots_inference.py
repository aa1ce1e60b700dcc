"""Pictures of odds ratios, profiles, residuals, ROC curves and calibration: what is drawn is what was computed."""

import numpy as np
import pytest

import xlogreg
from xlogreg.plots import CalibrationDisplay, ForestDisplay, ProfileDisplay, ResidualsDisplay, RocDisplay

Figure = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed").Figure


@pytest.fixture
def ax():
    return Figure(layout="constrained").subplots()


def segments(ax):
    return np.concatenate([part.get_segments() for part in ax.collections])


def points(ax):
    """Data of the lines that are drawn as points, not of reference lines."""
    return [line.get_xydata() for line in ax.lines if line.get_marker() == "o"]


def test_a_forest_is_odds_ratios_with_their_intervals(problem, ax):
    model = xlogreg.fit(*problem)
    odds = model.odds_ratios(level=0.9)
    display = ForestDisplay.from_summary(model.summary(level=0.9), ax=ax)
    (drawn,) = points(ax)
    np.testing.assert_allclose(drawn[:, 0], odds.table["odds_ratio"], rtol=1e-12)
    np.testing.assert_allclose(segments(ax)[:, :, 0], odds.confint, rtol=1e-12)
    np.testing.assert_array_equal(segments(ax)[:, 0, 1], drawn[:, 1])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["x0", "x1", "x2", "x3"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "odds ratio, 90 % interval"
    ax.figure.draw_without_rendering()
    other = ForestDisplay.from_odds_ratios(odds, features=["x3", "x1"], ax=Figure().subplots())
    np.testing.assert_allclose(other.lower, display.lower[[3, 1]], rtol=1e-12)
    assert other.names.tolist() == ["x3", "x1"]
    with pytest.raises(ValueError, match="features must be names of the table; 'bias' is not one of them"):
        ForestDisplay.from_summary(model.summary(), features=["x0", "bias"])


def test_a_forest_of_many_classes_has_a_colour_for_each(three_classes, ax):
    model = xlogreg.fit(*three_classes)
    odds = model.odds_ratios()
    ForestDisplay.from_summary(model.summary(), ax=ax)
    drawn = points(ax)
    np.testing.assert_allclose(np.concatenate(drawn)[:, 0], odds.table["odds_ratio"], rtol=1e-12)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["1", "2"]
    places = np.stack([part[:, 1] for part in drawn])
    assert np.all(np.diff(places, axis=0) > 0.1)
    assert np.all(np.abs(places - np.arange(3)) < 0.5)


def test_without_a_covariance_a_forest_has_no_intervals(problem, ax):
    ForestDisplay.from_summary(xlogreg.fit(*problem, l2=0.1).summary(), ax=ax)
    assert len(points(ax)[0]) == 4
    assert segments(ax).size == 0
    ax.figure.draw_without_rendering()


def test_a_tall_forest_has_a_tall_figure(problem):
    display = ForestDisplay.from_summary(xlogreg.fit(*problem).summary(), ax=Figure().subplots())
    names = np.asarray([f"x{i}" for i in range(60)])
    tall = ForestDisplay(names, np.ones(60), np.ones(60), np.ones(60), 0.95)
    assert tall.figure_size[1] > 15 > display.figure_size[1]


def test_profiles_are_drawn_with_the_line_that_ends_the_interval(ax):
    values = np.asarray([3.0, -1.0, np.inf, 0.0, 1.0])
    display = ProfileDisplay.from_curves({"dose": (values, (values - 1) ** 2), "$age": ([0, 1], [1, 0])}, ax=ax)
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[-1, 4], [0, 1], [1, 0], [3, 4]])
    np.testing.assert_array_equal(display.values["$age"], [0, 1])
    assert ax.lines[-1].get_ydata()[0] == pytest.approx(3.841458820694124)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["dose", r"\$age", "95 % interval"]
    with pytest.raises(ValueError, match=r"the curve 'dose' must have two arrays of one length; got \(2,\), \(3,\)"):
        ProfileDisplay.from_curves({"dose": ([1, 2], [1, 2, 3])})
    with pytest.raises(ValueError, match="curves is empty"):
        ProfileDisplay.from_curves({})
    with pytest.raises(ValueError, match="level must be between 0 and 1"):
        ProfileDisplay.from_curves({"dose": ([1, 2], [1, 2])}, level=95)


@pytest.mark.parametrize("kind", ["deviance", "pearson", "studentised"])
@pytest.mark.parametrize("samples", ["columns", "rows"])
def test_residuals_are_drawn_over_probabilities(problem, samples, kind, ax):
    X, Y = problem
    X = X.T if samples == "rows" else X
    found = xlogreg.fit(X, Y, samples=samples).influence(X, Y)
    display = ResidualsDisplay.from_influence(found, kind=kind, ax=ax)
    scatter = ax.collections[0]
    expected = [np.ravel(found.probability), np.ravel(getattr(found, kind))]
    np.testing.assert_array_equal(scatter.get_offsets().T, expected)
    sizes, cooks = scatter.get_sizes(), np.ravel(found.cooks_distance)
    assert np.argmax(sizes) == np.argmax(cooks)
    named = sorted(int(text.get_text()) for text in ax.texts)
    assert named == sorted(np.argsort(cooks)[-5:].tolist())
    probability, residual = display.means()
    np.testing.assert_array_equal(ax.lines[-1].get_xydata().T, [probability, residual])
    assert len(probability) == 8
    order = np.argsort(expected[0])
    assert residual[0] == pytest.approx(np.mean(expected[1][order[:8]]))
    ax.figure.draw_without_rendering()


def test_residuals_of_another_kind_are_refused(problem):
    found = xlogreg.fit(*problem).influence(*problem)
    with pytest.raises(ValueError, match="kind must be one of 'deviance', 'pearson', 'studentised', not 'raw'"):
        ResidualsDisplay.from_influence(found, kind="raw")


def test_roc_curves_are_drawn_with_their_areas(problem, ax):
    X, Y = problem
    all_of, one = (xlogreg.fit(part, Y).roc(part, Y) for part in (X, X[:1]))
    RocDisplay.from_roc({"all": all_of, "one": one}, ax=ax)
    for line, roc in zip(ax.lines[1:], (all_of, one), strict=True):
        np.testing.assert_array_equal(line.get_xydata().T, [roc.false_positive_rate, roc.true_positive_rate])
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts[0] == f"all: AUC {all_of.auc:.3f} ± {all_of.standard_error:.3f}"
    single = RocDisplay.from_roc(one, ax=Figure().subplots())
    assert list(single.curves) == ["class 1"]
    with pytest.raises(ValueError, match="roc is empty"):
        RocDisplay.from_roc({})


def test_calibration_is_drawn_by_its_groups_with_its_slope(problem, ax):
    X, Y = problem
    found = xlogreg.fit(X, Y, l2=0.3).calibration(X, Y, groups=5)
    display = CalibrationDisplay.from_calibration(found, ax=ax)
    lines = {line.get_label(): line.get_xydata().T for line in ax.lines}
    np.testing.assert_array_equal(lines["model"], [found.table["probability"], found.table["share"]])
    probability, share = next(data for name, data in lines.items() if name.startswith("slope"))
    logits = [np.log(part / (1 - part)) for part in (probability, share)]
    np.testing.assert_allclose(logits[1], found.line.intercept + found.line.slope * logits[0], atol=1e-9)
    beside = next(axes for axes in ax.figure.axes if axes is not ax)
    assert [bar.get_height() for bar in beside.patches] == found.table["samples"].tolist()
    assert len(display.edges) == 6
    assert np.all((display.edges[:-1] <= found.table["lower"]) & (found.table["upper"] <= display.edges[1:]))
    ax.figure.draw_without_rendering()


def test_a_calibration_without_a_slope_is_drawn_without_its_curve(ax):
    X = np.asarray([[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]])
    model = xlogreg.fit(X, [0, 1, 0, 1, 0, 1])
    CalibrationDisplay.from_calibration(model.calibration(X, [0, 0, 0, 1, 1, 1], groups=2), ax=ax)
    labels = [str(line.get_label()) for line in ax.lines]
    assert "model" in labels
    assert not any(label.startswith("slope") for label in labels)


def test_features_that_are_called_bias_are_drawn_and_the_bias_is_not(ax):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    rng = np.random.default_rng(0)
    table = pandas.DataFrame(rng.standard_normal((80, 3)), columns=["bias", "(bias)", "x"])
    model = xlogreg.fit(table, rng.integers(0, 2, 80), samples="rows")
    assert ForestDisplay.from_summary(model.summary(), ax=ax).names.tolist() == ["bias", "(bias)", "x"]
