"""What is said of the gap where the penalty has kinks: a proof for small data, an estimate for the rest."""

import numpy as np
import pytest
from kinks import largest
from test_elastic_net import ROWS, drawn

import xlogreg
from xlogreg.fitting import proof

KINDS = {
    "plain": {},
    "elastic": {"l2": 0.01},
    "weights": {"sample_weight": np.arange(200) % 3},
    "no bias": {"bias": False},
    "standardize": {"standardize": True},
    "features of all classes": {"multinomial": "grouped"},
    "groups": {"penalty": np.arange(30) // 3},
}


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("share", [0.3, 0.03])
def test_no_gap_is_larger_than_its_bound(classes, options, tol, share):
    X, Y = drawn(200, 30, classes=classes, seed=7, shift=2.0)
    l1 = share * largest(X, Y)
    model = xlogreg.fit(X, Y, l1=l1, tol=tol, **options, **ROWS)
    best = xlogreg.fit(X, Y, l1=l1, **options, **ROWS)
    gap, info = model.fit_info.cost - best.fit_info.cost, model.fit_info
    assert info.converged
    assert info.gap <= tol * info.cost
    assert info.gap_known in ("bound", "estimate")
    assert gap <= (info.gap if info.gap_known == "bound" else 1.5 * info.gap) + 1e-15
    assert classes > 2 or best.fit_info.gap_known == "bound"  # of several, rounding may hide it
    assert 0 < best.fit_info.gap <= 1e-12 * best.fit_info.cost


def test_features_with_factor_zero():
    X, Y = drawn(200, 30, seed=8)
    options = {"l1": 0.1 * largest(X, Y), "penalty_factor": (np.arange(30) % 4 > 0).astype(float), **ROWS}
    info, best = (xlogreg.fit(X, Y, tol=tol, **options).fit_info for tol in (1e-5, 1e-12))
    assert info.cost - best.cost <= 1.5 * info.gap


def test_an_estimate_that_was_too_small_sends_the_fit_on(monkeypatch):
    X, Y = drawn(300, 150, classes=4, seed=64)
    asked = []
    monkeypatch.setattr(
        proof, "prove", lambda *given: asked.append(given) or (np.nan, 1.0 if len(asked) < 2 else 0.0, 1)
    )
    model = xlogreg.fit(X, Y, l1=0.01, tol=1e-3, **ROWS)
    assert len(asked) == 2
    assert model.fit_info.converged


def test_large_data_are_not_passed_over_for_a_proof():
    X, Y = drawn(40_000, 30, seed=3)
    assert xlogreg.fit(X, Y, l1=0.01, **ROWS).fit_info.gap_known == "estimate"


@pytest.mark.parametrize("classes", [2, 3])
def test_features_that_are_all_constant(classes):
    Y = np.arange(12) % classes
    model = xlogreg.fit(np.ones((12, 2)), Y, l1=0.1, **ROWS)
    assert not model.w.any()
    assert model.fit_info.converged
