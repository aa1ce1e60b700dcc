"""The sums that one block adds, against NumPy written out once more, on every namespace."""

import numpy as np
import pytest
from conftest import QUICK
from reference import loop_gradients

from xlogreg.arrays.matrix import Dense
from xlogreg.arrays.place import to_host
from xlogreg.math.losses import LOSSES
from xlogreg.math.moves import proof_terms, recession_terms, restless_terms, tied_terms
from xlogreg.math.one_hot import ONE_HOT
from xlogreg.math.scores import class_numbers, report_terms
from xlogreg.math.sums import (
    Block,
    class_terms,
    correlation_terms,
    diagonal_terms,
    expansion_terms,
    gradient_terms,
    hessian_terms,
    moment_terms,
    pair_terms,
    pass_terms,
    second_moment_terms,
    spread_terms,
)
from xlogreg.samples.memory import InMemory
from xlogreg.samples.source import Columns
from xlogreg.samples.threads import tree_sum

N_X, M, G = 3, 12, 2
RNG = np.random.default_rng(11)
X = RNG.standard_normal((N_X, M))
LABELS = np.arange(M) % 3
WEIGHT = np.linspace(0.0, 2.0, M)[None, :]


def pose(k, weighted=True):
    """Y (k, m), weights, theta (n_x + 1, G, k), and the loss."""
    Y = np.eye(3)[:, LABELS] if k == 3 else (LABELS > 0)[None, :].astype(float)
    theta = np.random.default_rng(k).standard_normal((N_X + 1, G, k))
    return Y, WEIGHT if weighted else None, theta, LOSSES["cross_entropy" if k == 3 else "log_loss"]


def block_of(where, Y, weight):
    return Block(where.asarray(X), where.asarray(Y), None if weight is None else where.asarray(weight), 0)


def probabilities(theta):
    """A (k, m) of one model, theta (n_x + 1, k)."""
    Z = theta[:-1].T @ X + theta[-1:].T
    E = np.exp(Z - Z.max(axis=0))
    return E / E.sum(axis=0) if len(Z) > 1 else 1 / (1 + np.exp(-Z))


def sums(Y, weight, theta):
    """Losses, gradients and Hessian of one model, sample by sample."""
    k = Y.shape[0]
    A, s = probabilities(theta), np.ones(M) if weight is None else weight[0]
    losses, gradient, H = 0.0, np.zeros((N_X + 1, k)), np.zeros(((N_X + 1) * k,) * 2)
    for i in range(M):
        a, y, x = A[:, i], Y[:, i], np.append(X[:, i], 1.0)
        losses -= s[i] * np.sum(y * np.log(a) + ((1 - y) * np.log(1 - a) if k == 1 else 0.0))
        gradient += s[i] * np.outer(x, a - y)
        curve = np.diag(a) - np.outer(a, a)
        H += s[i] * np.kron(np.outer(x, x), curve)
    return losses, gradient, H


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("k", [1, 3])
def test_each_sum_is_that_of_the_samples_one_by_one(where, k, weighted):
    Y, weight, theta, loss = pose(k, weighted)
    block, parameters = block_of(where, Y, weight), where.asarray(theta)
    expected = [sums(Y, weight, theta[:, j]) for j in range(G)]
    losses, dTheta, _, H = expansion_terms(block, parameters, loss)
    where.check(losses, [value for value, _, _ in expected])
    where.check(dTheta, np.stack([gradient for _, gradient, _ in expected], axis=1))
    where.check(H, np.stack([hessian for _, _, hessian in expected]))
    for ours, again in zip(expansion_terms(block, parameters, loss), pass_terms(block, parameters, loss), strict=False):
        where.check(ours, to_host(again))
    for array, original in zip((*block[:3], parameters), (X, Y, weight, theta), strict=True):
        if original is not None:  # nothing was written into
            np.testing.assert_array_equal(to_host(array), original.astype(where.dtype))


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_a_pass_over_one_model_is_the_explicit_loop_over_samples_and_features(where):
    Y, _, theta, loss = pose(1)
    one = theta[:, :1]
    J, dw, db = loop_gradients(X.tolist(), Y[0].tolist(), one[:-1, 0, 0].tolist(), float(one[-1, 0, 0]))
    losses, dTheta, _ = pass_terms(block_of(where, Y, None), where.asarray(one), loss)
    where.check(losses, [J * M])
    where.check(dTheta, np.reshape([*dw, db], (N_X + 1, 1, 1)) * M)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_samples_on_their_own_side_are_settled_and_those_without_weight_too(where, k):
    Y, weight, theta, loss = pose(k)
    unsettled = []
    for j in range(G):
        A = probabilities(theta[:, j])
        right = np.sum(Y * A, axis=0) if k == 3 else np.where(Y[0] == 1, A[0], 1 - A[0])
        unsettled.append((right <= 0.5) & (weight[0] > 0))
    assert all(np.any(those) for those in unsettled)
    parameters = where.asarray(theta)
    assert np.all(to_host(pass_terms(block_of(where, Y, weight), parameters, loss)[2]) > 0)
    for j in range(G):  # without those of one model
        rest = np.where(unsettled[j], 0.0, weight)
        expected = [bool(np.any(those & ~unsettled[j])) for those in unsettled]
        found = to_host(pass_terms(block_of(where, Y, rest), parameters, loss)[2])
        np.testing.assert_array_equal(found > 0, expected)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_scores_of_ten_thousand_leave_every_sum_finite(where, k):
    Y, weight, theta, loss = pose(k)
    for part in expansion_terms(block_of(where, Y, weight), where.asarray(theta * 1e4), loss):
        assert np.all(np.isfinite(to_host(part)))


def test_the_sums_run_under_jit_with_weights_and_several_models():
    jax = pytest.importorskip("jax")
    Y, weight, theta, loss = pose(3)
    compiled = jax.jit(lambda X, Y, weight, theta: expansion_terms(Block(X, Y, weight, 0), theta, loss))
    expected = expansion_terms(Block(X, Y, weight, 0), theta, loss)
    for ours, theirs in zip(compiled(X, Y, weight, theta), expected, strict=True):
        np.testing.assert_allclose(np.asarray(ours), theirs, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_sums_of_labels_are_those_of_any_targets(where, weighted):
    Y, weight, theta, loss = pose(3, weighted)
    for terms in (gradient_terms, pass_terms, hessian_terms, expansion_terms):
        for own in (theta, theta[:, :1, :], 100.0 * theta):
            found = terms(block_of(where, Y, weight), where.asarray(own), ONE_HOT)
            expected = terms(Block(X, Y, weight, 0), own, loss)
            for part, other in zip(found, expected, strict=True):
                where.check(part, other, rtol=20 * where.tolerance, atol=20 * where.tolerance)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_moments_are_those_of_the_features_with_a_row_of_ones(where, weighted):
    Y, weight, _, _ = pose(1, weighted)
    block, s = block_of(where, Y, weight), np.ones(M) if weight is None else weight[0]
    ones = np.concatenate([X, np.ones((1, M))])
    V = np.arange(1.0, N_X + 2)[:, None]
    where.check(moment_terms(block, where.asarray(V))[0], (ones * s) @ ones.T @ V)
    x, xy = correlation_terms(block, where.asarray(V))
    where.check(x, (ones @ s)[:, None])
    where.check(xy, ones @ (Y * s).T)
    first, second, targets = spread_terms(block, where.asarray(np.zeros((N_X, 1))))
    where.check(first, (X @ s)[:, None])
    where.check(second, (X**2 @ s)[:, None])
    where.check(targets, [[Y[0] @ s]])


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_the_curvature_along_a_basis_is_the_diagonal_of_the_rotated_hessian(where, k):
    Y, weight, theta, _ = pose(k)
    rng = np.random.default_rng(0)
    L, Q = rng.standard_normal((N_X + 1, N_X + 1)), np.linalg.qr(rng.standard_normal((k, k)))[0]
    P = np.stack([probabilities(theta[:, model]) for model in range(G)])
    rotated = L.T @ np.concatenate([X, np.ones((1, M))])
    block = Block(where.asarray(rotated), where.asarray(P), where.asarray(weight), 0)
    R = np.kron(L, Q)
    hessians = [sums(Y, weight, theta[:, model])[2] for model in range(G)]
    expected = np.stack([np.diag(R.T @ H @ R).reshape(N_X + 1, k) for H in hessians], axis=1)
    right = where.asarray(np.stack([Q] * G))
    where.check(diagonal_terms(block, right)[0], expected, rtol=20 * where.tolerance)
    curvatures = [np.diag(p @ weight[0]) - (p * weight) @ p.T for p in P]
    where.check(class_terms(block, right)[0], np.stack(curvatures))
    others = 1.0 - P if k == 1 else P
    products = np.einsum("gks,gls,s->gkls", P, others, weight[0])
    pairs, total = pair_terms(block, right)
    where.check(pairs, np.einsum("rs,gkls->rgkl", rotated**2, products), rtol=20 * where.tolerance)
    where.check(total, np.sum(products, axis=-1)[None])


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_the_second_moment_has_a_row_for_the_bias(where):
    Y, weight, _, _ = pose(1)
    bordered = np.concatenate([X, np.ones((1, M))])
    (S,) = second_moment_terms(block_of(where, Y, weight), where.asarray(np.zeros((1, 1))))
    where.check(S, (bordered * weight) @ bordered.T)


def moves_of(step):
    """Moves of the scores of all classes (K, m), both of two, of a step (n_x + 1, 1, k)."""
    D = step[:-1, 0].T @ X + step[-1:, 0].T
    return D if len(D) > 1 else np.concatenate([0 * D, D])


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_a_step_proves_a_minimum_where_it_leaves_every_probability_inside(where, k):
    Y, weight, theta, loss = pose(k)
    steps = theta * np.asarray([0.02, 0.6]).reshape(1, -1, 1)
    expected, outside = [], []
    for model in range(G):
        a, v = probabilities(theta[:, model]), moves_of(steps[:, [model]])
        a = a if len(a) > 1 else np.concatenate([1 - a, a])
        alpha = a * (1 + v - np.sum(a * v, axis=0))
        outside.append(np.sum((np.min(alpha / a, axis=0) < 0.1) & (weight[0] > 0)))
        with np.errstate(all="ignore"):
            expected.append(np.sum(weight[0] * np.sum(alpha * np.log(alpha / a), axis=0)))
    assert outside[0] == 0 < outside[1]
    points = where.asarray(np.concatenate([theta, steps]))
    divergence, count = proof_terms(block_of(where, Y, weight), points, loss)
    where.check(count, outside)
    bound = float(to_host(divergence)[0])
    assert expected[0] * (1 - where.tolerance) <= bound <= 1.02 * expected[0]


def test_the_bound_of_a_divergence_holds_and_is_tight():
    X, Y = np.ones((1, 1)), np.ones((1, 1))
    for a in (0.5, 0.1, 1e-3, 1e-9):
        for v in (*np.linspace(-1.5, 1.5, 31), 1e-9):
            theta, step = np.asarray([0.0, np.log(a / (1 - a))]), np.asarray([0.0, v])
            points = np.concatenate([theta, step]).reshape(4, 1, 1)
            divergence, outside = (
                float(part[0]) for part in proof_terms(Block(X, Y, None, 0), points, LOSSES["log_loss"])
            )
            moves = np.asarray([-a * v, (1 - a) * v])  # alpha = a (1 + moves)
            if np.min(moves) > -0.9:
                true = np.sum(np.asarray([1 - a, a]) * ((1 + moves) * np.log1p(moves) - moves))
                assert true * (1 - 1e-9) - 1e-24 <= divergence
                if np.max(np.abs(moves)) < 0.3:
                    assert divergence <= 1.1 * true + 1e-6 * v * v
            assert outside == (np.min(moves) < -0.9)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_recession_counts_the_samples_that_fall_behind_a_wrong_class(where, k):
    Y, weight, theta, _ = pose(k)
    step = theta[:, :1]
    D, K = moves_of(step), max(2, k)
    labels = LABELS if k == 3 else (LABELS > 0).astype(int)
    lead = np.asarray([[D[labels[i], i] - D[j, i] for j in range(K) if j != labels[i]] for i in range(M)])
    lead = lead[weight[0] > 0]
    counts = np.sum(np.any(lead < 0, axis=1)), np.sum(np.any(lead > 0, axis=1)), np.sum(np.any(lead <= 0, axis=1))
    found = recession_terms(block_of(where, Y, weight), where.asarray(np.concatenate([step, np.abs(step)])))
    for ours, expected in zip(found, counts, strict=True):
        where.check(ours, [expected])


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_what_rounding_hides_of_a_products_own_terms_is_no_move(where):
    eps = 2.0**-52 if where.dtype == "float64" else 2.0**-23
    far = np.asarray([[1e6, 1.0, 1.0], [-1e6, 0.0, 0.0]])  # the terms of the first sample cancel, but for rounding
    step = np.asarray([1.0, 1.0 + 2 * eps, 0.0]).reshape(3, 1, 1)
    Y = np.asarray([[1.0, 1.0, 0.0]])
    block = Block(where.asarray(far), where.asarray(Y), None, 0)
    wrong, moved, tied = recession_terms(block, where.asarray(np.concatenate([step, np.abs(step)])))
    where.check(wrong, [1])  # the third, which really moves to its wrong side
    where.check(moved, [1])
    where.check(tied, [2])


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_tied_samples_are_those_of_which_a_class_hardly_falls_behind(where, k):
    Y, weight, theta, _ = pose(k)
    step, direction = theta[:, :1], theta[:, 1:]
    D, K = moves_of(step), max(2, k)
    hot = Y if k == 3 else np.concatenate([1 - Y, Y])
    H = np.zeros(((N_X + 1) * K,) * 2)
    for i in range(M):
        for j in range(K):
            if weight[0, i] > 0 and hot[:, i] @ D[:, i] - D[j, i] < 0.5:
                e = np.kron(np.append(X[:, i], 1.0), np.eye(K)[j] - hot[:, i])
                H += np.outer(e, e)
    whole = direction[:, 0] if k == 3 else np.concatenate([0 * direction[:, 0], direction[:, 0]], axis=1)
    pull = (H @ whole.reshape(-1)).reshape(N_X + 1, 1, K)
    if k == 1:  # the second class alone has parameters
        H, pull = H[1::2, 1::2], pull[:, :, 1:]
    points = where.asarray(np.concatenate([step, direction]))
    found = tied_terms(block_of(where, Y, weight), points)
    tolerance = 1e-11 if where.dtype == "float64" else 1e-4
    where.check(found[0], H[None], rtol=tolerance, atol=tolerance)
    where.check(found[1], pull, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_samples_are_restless_that_move_by_a_tenth(where):
    Y, weight, theta, _ = pose(3)
    moves = np.einsum("jgk,jm->gkm", theta[:-1], X) + theta[-1][:, :, None]
    expected = np.sum((np.max(np.abs(0.1 * moves), axis=1) >= 0.1) & (weight > 0), axis=1)
    assert 0 < expected[0] < M
    where.check(restless_terms(block_of(where, Y, weight), where.asarray(0.1 * theta))[0], expected)


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_a_report_counts_weights_by_true_and_predicted_class(where):
    Y, weight, theta, loss = pose(3)
    losses, confusion = report_terms(block_of(where, Y, weight), where.asarray(theta[:, 0]), loss)
    predicted, expected = probabilities(theta[:, 0]).argmax(axis=0), np.zeros((3, 3))
    for i in range(M):
        expected[LABELS[i], predicted[i]] += weight[0, i]
    where.check(confusion, expected)
    where.check(losses, [sums(Y, weight, theta[:, 0])[0]])


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_of_classes_that_tie_the_first_is_predicted(where):
    Z = where.asarray([[1.0, 0.0, 2.0], [1.0, 3.0, 2.0], [0.0, 3.0, 2.0]])
    where.check(class_numbers(Z), [[0, 1, 0]], dtype="int32")
    where.check(class_numbers(where.asarray([[-1.0, 0.0, 1.0]])), [[0, 0, 1]], dtype="int32")


def test_a_tree_adds_arrays_and_changes_none_of_them():
    terms = [(np.full(2, float(n)), np.asarray([n])) for n in range(7)]
    floats, integers = tree_sum(iter(terms))
    assert (floats.tolist(), integers.tolist()) == ([21.0, 21.0], [21])
    assert [term[1][0] for term in terms] == list(range(7))


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_the_sums_of_a_source_come_home_to_the_parameters(where):
    Y, weight, theta, loss = pose(1)
    put = where.place.put
    source = InMemory(
        Dense(put(X, where.dtype)),
        Columns(put(Y, where.dtype), put(weight, where.dtype)),
        where.place,
        where.dtype,
        1.0,
    )
    there = source.sum(pass_terms, put(theta, where.place.widest), loss)
    for ours, part in zip(source.sum(pass_terms, theta, loss), there, strict=True):
        assert type(ours) is np.ndarray
        where.check(part, ours, dtype=where.place.widest)


@pytest.mark.parametrize("k", [1, 3])
def test_compiled_sums_are_those_that_were_not_compiled_tails_included(where, k):
    Y, weight, theta, loss = pose(k)
    block, parameters = block_of(where, Y, weight), where.asarray(20.0 * theta)
    for function in (pass_terms, expansion_terms):
        compiled = where.place.compiled(function, (parameters, loss))
        for ours, expected in zip(compiled(block, parameters, loss), function(block, parameters, loss), strict=True):
            where.check(ours, to_host(expected), atol=1e-12 if where.dtype == "float64" else 1e-4)
    sure = Block(where.asarray([[1.0]]), where.asarray([[1.0]]), None, 0)
    theta = where.asarray([[[40.0]], [[0.0]]])
    losses = where.place.compiled(pass_terms, (theta, LOSSES["log_loss"]))(sure, theta, LOSSES["log_loss"])[0]
    where.check(losses, [np.exp(-40.0)], atol=0.0)
