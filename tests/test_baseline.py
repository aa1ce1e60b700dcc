"""What samples allow without features, beside what a model reaches on them."""

import numpy as np
import pytest

import xlogreg
from xlogreg.cli.baseline import baseline
from xlogreg.model.reports import Report

CLASSES = np.asarray(["a", "b\n", "c"])


def test_it_is_what_a_model_without_features_reaches():
    Y, weight = np.asarray(["a", "b", "b", "c", "b"]), np.asarray([1.0, 2.0, 1.0, 3.0, 1.5])
    bare = xlogreg.fit(np.zeros((1, 5)), Y, l2=1.0, sample_weight=weight)
    report = bare.evaluate(np.zeros((1, 5)), Y, sample_weight=weight)
    found = baseline(report)
    assert (found.label, found.accuracy) == ("b", pytest.approx(report.accuracy))
    assert found.log_loss == pytest.approx(report.log_loss, rel=1e-9)
    assert "accuracy" in found.worse_in


@pytest.mark.parametrize(
    ("accuracy", "log_loss", "said"),
    [
        (0.9, 0.1, ""),
        (0.7, 0.1, "\nthe model is no better than that in accuracy"),
        (0.9, 0.9, "\nthe model is no better than that in log loss"),
        (0.1, float("nan"), "\nthe model is no better than that in accuracy and log loss"),
    ],
)
def test_a_model_that_is_no_better_is_told_so(accuracy, log_loss, said):
    report = Report(accuracy, log_loss, np.asarray([[2, 1, 0], [1, 6, 0], [0, 0, 0]]), CLASSES)
    bare = "without features: always 'b\\n' gives accuracy 0.7000, the shares of the classes log loss 0.6109"
    assert str(baseline(report)) == bare + said


def test_samples_of_one_class_are_no_yardstick():
    found = baseline(Report(0.5, 0.7, np.asarray([[1, 1, 0], [0, 0, 0], [0, 0, 0]]), CLASSES))
    assert (found.log_loss, found.worse_in) == (0.0, ())
    assert str(found) == "all samples are of the class 'a': no model can do better than to say always that"
