"""What belongs to samples beside X is cut, taken and sent as one thing: offsets go wherever labels and weights go."""

import numpy as np
import pytest
from conftest import cut

from xlogreg.arrays.matrix import Dense
from xlogreg.arrays.place import HOST, to_host
from xlogreg.inputs.labels import Targets
from xlogreg.math.losses import LOSSES
from xlogreg.math.moves import proof_terms, recession_terms, restless_terms
from xlogreg.math.scores import clipped_terms, report_terms, score_terms
from xlogreg.math.sums import expansion_terms, gradient_terms, hessian_terms, pass_terms
from xlogreg.samples.memory import InMemory
from xlogreg.samples.source import Columns

M, N_X, G = 60, 3, 2
RNG = np.random.default_rng(4)
X = RNG.standard_normal((N_X, M))
LABELS = RNG.integers(3, size=M)
WEIGHT = RNG.uniform(0.1, 2.0, (1, M))


def pose(k, outputs):
    """Y (k, m), an offset (outputs, m), theta (n_x + 1, G, k), and the loss."""
    Y = np.eye(3)[:, LABELS] if k == 3 else (LABELS > 0)[None, :].astype(float)
    rng = np.random.default_rng(k)
    loss = LOSSES["cross_entropy" if k == 3 else "log_loss"]
    return Y, rng.standard_normal((outputs, M)), rng.standard_normal((N_X + 1, G, k)), loss


def as_features(theta, outputs):
    """Theta for X above the offsets as features, each with the weight 1 in its own output, or in every output."""
    k = theta.shape[2]
    fixed = np.ones((1, 1, k)) if outputs == 1 else np.eye(k)[:, None, :]
    fixed = np.broadcast_to(fixed, (outputs, theta.shape[1], k))
    return np.concatenate([theta[:-1], fixed, theta[-1:]])


@pytest.mark.parametrize(("k", "outputs"), [(1, 1), (3, 1), (3, 3)])
@pytest.mark.parametrize("block_bytes", [None, 3 * 8 * 7])
@pytest.mark.parametrize("terms", [gradient_terms, pass_terms, hessian_terms, expansion_terms, score_terms])
@pytest.mark.slow
def test_an_offset_is_a_feature_of_fixed_weight(where, terms, k, outputs, block_bytes):
    Y, offset, theta, loss = pose(k, outputs)
    put = where.asarray
    columns = Columns(put(Y), put(WEIGHT), put(offset))
    there = InMemory(Dense(put(X)), columns, where.place, where.dtype, 1.0, block_bytes=block_bytes)
    wide = InMemory(Dense(np.concatenate([X, offset])), Columns(Y, WEIGHT), HOST, "float64", 1.0)
    found, expected = there.sum(terms, theta, loss), wide.sum(terms, as_features(theta, outputs), loss)
    kept = np.delete(np.arange(N_X + outputs + 1), np.arange(N_X, N_X + outputs))
    tolerance = 1e-10 if where.dtype == "float64" else 1e-4
    unsettled = 2 if terms in (pass_terms, expansion_terms) else None  # a number of blocks
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        if number == unsettled:
            np.testing.assert_array_equal(one > 0, other > 0)
            continue
        other = other[kept] if other.ndim == 3 and other.shape[0] == N_X + outputs + 1 else other
        if other.ndim == 3 and other.shape[0] == G:
            numbers = (kept[:, None] * k + np.arange(k)).ravel()
            other = other[:, numbers][:, :, numbers]
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("k", "outputs"), [(1, 1), (3, 1), (3, 3)])
def test_a_proof_counts_the_offset_in_the_scores_and_not_in_their_moves(k, outputs):
    Y, offset, theta, loss = pose(k, outputs)
    step = 0.1 * theta[:, ::-1]
    here = InMemory(Dense(X), Columns(Y, WEIGHT, offset), HOST, "float64", 1.0)
    wide = InMemory(Dense(np.concatenate([X, offset])), Columns(Y, WEIGHT), HOST, "float64", 1.0)
    still = as_features(step, outputs)
    still[N_X:-1] = 0.0
    found = here.sum(proof_terms, np.concatenate([theta, step]), loss)
    expected = wide.sum(proof_terms, np.concatenate([as_features(theta, outputs), still]), loss)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
    np.testing.assert_array_equal(found[1], expected[1])
    plain = InMemory(Dense(X), Columns(Y, WEIGHT), HOST, "float64", 1.0)
    one = step[:, :1]
    for terms, points in ((restless_terms, step), (recession_terms, np.concatenate([one, abs(one)]))):
        for there, without in zip(here.sum(terms, points), plain.sum(terms, points), strict=True):
            np.testing.assert_array_equal(there, without)


def test_reports_count_the_offset():
    Y, offset, theta, loss = pose(3, 3)
    here = InMemory(Dense(X), Columns(Y, WEIGHT, offset), HOST, "float64", 1.0)
    wide = InMemory(Dense(np.concatenate([X, offset])), Columns(Y, WEIGHT), HOST, "float64", 1.0)
    found = here.sum(report_terms, theta[:, 0], loss)
    expected = wide.sum(report_terms, as_features(theta, 3)[:, 0], loss)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    found = here.sum(clipped_terms, theta, loss)
    for one, other in zip(found, wide.sum(clipped_terms, as_features(theta, 3), loss), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("numbers", [np.arange(M) * 3 // M, np.arange(M) % 3], ids=["runs", "scattered"])
@pytest.mark.parametrize("held_out", [False, True])
def test_folds_cut_the_offset(numbers, held_out):
    Y, offset, theta, loss = pose(3, 3)
    whole = InMemory(Dense(X), Columns(Y, WEIGHT, offset, numbers[None, :]), HOST, "float64", 1.0)
    folds = whole.leaving_out(numbers, np.asarray([0, 2]), held_out)
    found = folds.sum(gradient_terms, theta, loss)
    for model, fold in enumerate((0, 2)):
        kept = (numbers == fold) == held_out
        columns = Columns(Y[:, kept], WEIGHT[:, kept], offset[:, kept])
        part = InMemory(Dense(X[:, kept]), columns, HOST, "float64", 1.0)
        expected = part.sum(gradient_terms, theta[:, [model]], loss)
        np.testing.assert_allclose(found[0][model], expected[0][0], rtol=1e-12)
        np.testing.assert_allclose(found[1][:, [model]], expected[1], rtol=1e-9, atol=1e-12)
    for part in folds.parts:
        assert len(np.unique(part.columns.group)) == 1


def test_every_column_goes_where_its_sample_goes(where):
    Y, offset, _, _ = pose(3, 3)
    put = where.asarray
    columns = Columns(put(Y), put(WEIGHT), put(offset), where.place.put(np.arange(M)[None, :]))
    source = InMemory(Dense(put(X)), columns, where.place, where.dtype, 1.0)
    index = np.asarray([3, 4, 17, 40])
    taken = source.take(where.place.put(index))
    for part, values in zip(taken.columns, (Y, WEIGHT, offset, np.arange(M)[None, :]), strict=True):
        np.testing.assert_allclose(to_host(part), values[:, index], rtol=1e-6)
    np.testing.assert_allclose(to_host(taken.block(1, 3).offset), offset[:, index[1:3]], rtol=1e-6)
    order = RNG.permutation(M)
    moved = source.ordered(order)
    np.testing.assert_allclose(to_host(moved.columns.offset), offset[:, order], rtol=1e-6)
    np.testing.assert_array_equal(to_host(moved.columns.group)[0], order)
    np.testing.assert_allclose(to_host(moved.raw(0, M)), X[:, order], rtol=1e-6)
    relabelled = source.holding(Targets(where.place.put(LABELS[None, :]), np.arange(3), True, True), None)
    assert relabelled.columns.weight is None
    np.testing.assert_allclose(to_host(relabelled.columns.offset), offset, rtol=1e-6)
    assert Columns().cut(0, 3) == Columns()


def test_workers_hold_the_offset(client):
    from xlogreg.samples.cluster.from_dask import share_out

    Y, offset, theta, loss = pose(3, 3)
    there = share_out(cut(X), cut(LABELS), cut(WEIGHT[0]), samples="columns").source()
    there = there.sharing(Columns(offset=offset, group=np.arange(M)[None, :]), None, None)
    here = InMemory(Dense(X), Columns(Y, WEIGHT, offset), HOST, "float64", 1.0)
    expected = here.sum(expansion_terms, theta, loss)
    for one, other in zip(there.sum(expansion_terms, theta, loss), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)
    index = np.asarray([0, 5, 33, 59])
    np.testing.assert_array_equal(there.take(index).columns.offset, offset[:, index])
    np.testing.assert_array_equal(there.take(index).columns.group[0], index)
    left = there.leaving_out(np.arange(M) % 2, np.asarray([0]))
    without = InMemory(Dense(X[:, 1::2]), Columns(Y[:, 1::2], WEIGHT[:, 1::2], offset[:, 1::2]), HOST, "float64", 1.0)
    found, expected = (source.sum(gradient_terms, theta[:, :1], loss) for source in (left, without))
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-9, atol=1e-12)
