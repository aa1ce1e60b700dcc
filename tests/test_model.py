"""What a Model predicts, and where its predictions live."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import xlogreg
from xlogreg.arrays.place import dtype_name, name_of, place_on, to_host


@pytest.fixture(scope="module")
def binary(problem):
    return xlogreg.fit(*problem)


@pytest.fixture(scope="module")
def softmax(three_classes):
    return xlogreg.fit(*three_classes, l2=1e-2)


def test_predictions_live_where_their_own_X_lives(where, problem, binary):
    X = where.asarray(problem[0])
    Z = binary.w.T @ problem[0] + binary.b
    A = 1 / (1 + np.exp(-Z))
    where.check(binary.decision_function(X), Z)
    where.check(binary.predict_proba(X), np.concatenate([1 - A, A]))
    where.check(binary.predict_log_proba(X), np.log(np.concatenate([1 - A, A])))
    labels = binary.predict(X)
    assert name_of(labels) == where.place.name
    np.testing.assert_array_equal(to_host(labels), (Z > 0).astype(int))


def test_softmax_predictions_live_where_their_own_X_lives(where, three_classes, softmax):
    X = where.asarray(three_classes[0])
    Z = softmax.w.T @ three_classes[0] + softmax.b
    A = np.exp(Z) / np.exp(Z).sum(axis=0)
    where.check(softmax.predict_proba(X), A)
    where.check(softmax.predict_log_proba(X), np.log(A))
    np.testing.assert_array_equal(to_host(softmax.predict(X)), Z.argmax(axis=0)[None, :])


def test_log_probabilities_are_accurate_where_probabilities_vanish():
    model = xlogreg.fit(np.asarray([[-1.0, 1.0, 2.0, -2.0]]), [0, 1, 0, 1])
    model = pickle.loads(pickle.dumps(model))
    object.__setattr__(model, "w", np.asarray([[1.0]]))
    object.__setattr__(model, "b", np.asarray([[0.0]]))
    logs = model.predict_log_proba(np.asarray([[-800.0, 40.0]]))
    np.testing.assert_allclose(logs[1], [-800.0, -np.exp(-40.0)], rtol=1e-12)


def test_evaluate_agrees_with_scikit_learn(where, problem, three_classes, binary, softmax):
    metrics = pytest.importorskip("sklearn.metrics")
    for model, (X, Y) in ((binary, problem), (softmax, three_classes)):
        for weight in (None, np.linspace(0.1, 2.0, len(Y))):
            report = model.evaluate(where.asarray(X), Y, sample_weight=weight)
            predicted = model.predict(X)[0]
            expected = metrics.confusion_matrix(Y, predicted, sample_weight=weight)
            rtol = 1e-9 if where.dtype == "float64" else 1e-4
            np.testing.assert_allclose(report.confusion, expected, rtol=rtol)
            accuracy = metrics.accuracy_score(Y, predicted, sample_weight=weight)
            assert report.accuracy == pytest.approx(accuracy, rel=rtol)
            judged = metrics.log_loss(Y, model.predict_proba(X).T, sample_weight=weight)
            assert report.log_loss == pytest.approx(judged, rel=rtol)


LABELS = {
    "ints": np.asarray([3, -7]),
    "bools": np.asarray([False, True]),
    "strings": np.asarray(["cat", "dog"]),
    "whole floats": np.asarray([-1.0, 1.0]),
    "unsigned": np.asarray([2, 9], dtype=np.uint8),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_are_mapped_and_mapped_back(problem, kind):
    X, Y = problem
    names = np.sort(LABELS[kind])
    model = xlogreg.fit(X, names[Y])
    assert model.classes.tolist() == names.tolist()
    expected = xlogreg.fit(X, Y)
    np.testing.assert_array_equal(model.w, expected.w)
    labels = model.predict(X)
    assert labels.dtype == names.dtype
    np.testing.assert_array_equal(labels, names[expected.predict(X)])
    assert model.evaluate(X, names[Y]).accuracy == expected.evaluate(X, Y).accuracy


def test_three_string_labels_and_one_hot_columns_are_the_same_softmax(three_classes):
    X, Y = three_classes
    expected = xlogreg.fit(X, Y, l2=0.1)
    named = xlogreg.fit(X, np.asarray(["a", "b", "c"])[Y].tolist(), l2=0.1)
    hot = xlogreg.fit(X, np.eye(3)[:, Y], l2=0.1)
    np.testing.assert_array_equal(named.w, expected.w)
    np.testing.assert_array_equal(hot.w, expected.w)
    assert named.predict(X).tolist()[0] == [["a", "b", "c"][label] for label in expected.predict(X)[0]]
    assert hot.evaluate(X, np.eye(3)[:, Y]).accuracy == expected.evaluate(X, Y).accuracy


def test_labels_on_a_device_are_never_needed_on_the_host(where, three_classes):
    X, Y = three_classes
    model = xlogreg.fit(where.asarray(X), where.place.put(Y.astype("int32") * 2 + 5), l2=0.1)
    assert model.classes.tolist() == [5, 7, 9]
    assert dtype_name(model.predict(where.asarray(X))) == "int32"


def test_a_model_of_rows_predicts_rows(problem, three_classes, binary, softmax):
    for columns, (X, Y), k in ((binary, problem, 2), (softmax, three_classes, 3)):
        rows = xlogreg.fit(X.T, Y, samples="rows", l2=0.0 if k == 2 else 1e-2)
        m = X.shape[1]
        np.testing.assert_allclose(rows.w, columns.w, rtol=1e-9, atol=1e-12)
        assert rows.predict(X.T).shape == (m,)
        assert rows.predict_proba(X.T).shape == (m, k)
        assert rows.decision_function(X.T).shape == ((m,) if k == 2 else (m, 3))
        np.testing.assert_allclose(rows.predict_proba(X.T).T, columns.predict_proba(X), atol=1e-9)
        assert rows.evaluate(X.T, Y).accuracy == columns.evaluate(X, Y).accuracy


def test_a_model_moves_to_another_backend(where, problem, binary):
    moved = binary.to(where.place.name, where.place.device if where.place.name == "torch" else None)
    assert name_of(moved.w) == where.place.name
    np.testing.assert_allclose(to_host(moved.predict_proba(problem[0])), binary.predict_proba(problem[0]), rtol=1e-5)
    np.testing.assert_allclose(moved.to("numpy").w, binary.w, rtol=1e-6)


def test_a_model_does_not_move_where_nothing_works(binary):
    with pytest.raises(ValueError, match=r"backend must be one of 'numpy', .* not 'gpu'"):
        binary.to("gpu")
    with pytest.raises(xlogreg.BackendUnavailableError, match="backend='torch' is not usable"):
        binary.to("torch", "nowhere:7")


def test_models_are_copied_and_pickled(where, problem):
    model = xlogreg.fit(where.asarray(problem[0]), problem[1])
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(to_host(other.w), to_host(model.w))
        assert other.fit_info == model.fit_info
        assert repr(other) == repr(model)


def test_models_are_frozen_and_print_well(binary, softmax, problem):
    with pytest.raises(AttributeError):
        binary.w = 0
    assert repr(binary).startswith("Model(n_x=4, classes=[0, 1], numpy, converged: cost 0.")
    assert "gap" in str(binary.fit_info)
    assert "gap_known" in str(binary.fit_info)
    printed = str(binary.evaluate(*problem))
    assert printed.startswith("accuracy 0.")
    assert len(printed.splitlines()) == 5


def test_torch_tensors_that_require_gradients_are_detached(problem):
    torch = pytest.importorskip("torch")
    X = torch.asarray(problem[0]).requires_grad_(True)
    model = xlogreg.fit(X, problem[1])
    assert not model.w.requires_grad
    assert not model.predict_proba(X).requires_grad
    assert X.requires_grad


def test_parameters_follow_X_and_not_the_backend(problem):
    X, Y = problem
    expected = xlogreg.fit(X, Y)
    for backend in ("torch", "array-api-strict", "jax"):
        if not xlogreg.available_backends()[backend].usable:
            continue
        model = xlogreg.fit(X, Y, backend=backend)
        assert type(model.w) is np.ndarray
        assert model.fit_info.backend == backend
        np.testing.assert_allclose(model.w, expected.w, rtol=1e-7)
        back = xlogreg.fit(place_on(backend).put(X), Y, backend="numpy")
        assert name_of(back.w) == backend
        assert back.fit_info.backend == "numpy"


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("samples", ["columns", "rows"])
def test_probabilities_that_were_fitted_are_evaluated(where, samples, K):
    rng = np.random.default_rng(0)
    X, P = rng.standard_normal((3, 50)), rng.dirichlet(np.ones(K), 50).T
    X, Y = (X.T, P.T) if samples == "rows" else (X, P)
    model = xlogreg.fit(where.asarray(X), Y, targets="probabilities", samples=samples)
    report = model.evaluate(where.asarray(X), Y, targets="probabilities")
    assert report.log_loss == pytest.approx(model.fit_info.cost, rel=1e-4)
    np.testing.assert_allclose(report.confusion.sum(axis=1), P.sum(axis=1), rtol=1e-4)
    weighted = model.evaluate(where.asarray(X), Y, np.full(50, 2.0), targets="probabilities")
    assert weighted.accuracy == pytest.approx(report.accuracy, rel=1e-4)
    assert weighted.log_loss == pytest.approx(report.log_loss, rel=1e-4)
    other = rng.dirichlet(np.ones(4), 50)
    with pytest.raises(ValueError, match="Y holds probabilities of 4 classes, the model has"):
        model.evaluate(where.asarray(X), other if samples == "rows" else other.T, targets="probabilities")


def test_probabilities_that_are_not_said_to_be_some_are_refused_with_the_way():
    X, P = np.arange(6.0)[None, :], np.linspace(0.2, 0.7, 6)
    model = xlogreg.fit(X, P, targets="probabilities")
    with pytest.raises(ValueError, match=r"Y holds the label 0\.2 .*; of probabilities use targets='probabilities'"):
        model.evaluate(X, P)
    with pytest.raises(ValueError, match="targets must be 'labels' or 'probabilities', not 'soft'"):
        model.evaluate(X, P, targets="soft")


def test_results_from_before_the_package_had_folders_are_loaded(problem):
    path = xlogreg.fit_path(*problem, [0.1, 0.01])
    data = pickle.dumps(path, protocol=2)
    for now, then in ((b"model.model", b"model"), (b"model.reports", b"reports"), (b"fitting.fit_path", b"paths")):
        assert b"cxlogreg." + now + b"\n" in data
        data = data.replace(b"cxlogreg." + now + b"\n", b"cxlogreg." + then + b"\n")
    np.testing.assert_array_equal(pickle.loads(data).models[1].w, path.models[1].w)


def test_a_pickle_from_before_the_package_had_folders_is_loaded(problem, tmp_path):
    X, Y = problem
    model = xlogreg.fit(X, Y, l2=0.1)
    data = pickle.dumps(model, protocol=2)  # which has the names of modules in lines
    for now, then in (
        (b"cxlogreg.model.model\n", b"cxlogreg.model\n"),
        (b"cxlogreg.model.reports\n", b"cxlogreg.reports\n"),
    ):
        assert now in data
        data = data.replace(now, then)
    (tmp_path / "model.pkl").write_bytes(data)
    program = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb')).fit_info.cost)"
    command = [sys.executable, "-c", program, tmp_path / "model.pkl"]
    found = subprocess.run(command, capture_output=True, check=True, text=True)
    assert float(found.stdout) == model.fit_info.cost
