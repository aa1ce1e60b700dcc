"""What long calls tell while they run, what stops them, and what is left of them then."""

import itertools
import logging
import pickle

import numpy as np
import pytest
import scipy.sparse
from matplotlib.figure import Figure

import xlogreg
from xlogreg import LogisticRegression, LogisticRegressionCV

L2S = np.logspace(0, -4, 6)
CALLS = {
    "fit_many": lambda X, Y, **options: xlogreg.fit_many(X, [Y, 1 - Y, Y], l2s=1e-3, **options),
    "fit_path": lambda X, Y, **options: list(xlogreg.fit_path(X, Y, L2S, **options)),
    "fit_cv": lambda X, Y, **options: [xlogreg.fit_cv(X, Y, L2S, folds=3, **options).model],
    "bootstrap": lambda X, Y, **options: [xlogreg.bootstrap(X, Y, 4, l2=1e-2, **options).model],
    # fitted in turn, not together
    "fit_path of l1": lambda X, Y, **options: list(xlogreg.fit_path(X, Y, penalties=L2S, l1_ratio=0.9, **options)),
    "fit_many of firth": lambda X, Y, **options: xlogreg.fit_many(X, [Y, 1 - Y, Y], bias_reduction="firth", **options),
}
MODELS = {"fit_many": 3, "fit_path": 6, "fit_cv": 19, "bootstrap": 5, "fit_path of l1": 6, "fit_many of firth": 3}
EVERY = pytest.mark.parametrize("call", CALLS)


def draw(m=600, n_x=5, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_x, m))
    return X, np.argmax(X[:classes] + 1.5 * rng.gumbel(size=(classes, m)), axis=0)


def parameters(models):
    return [(model.w, model.b, model.fit_info.gap, model.fit_info.passes) for model in models]


def without_tqdm(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tqdm.auto", None)


@EVERY
def test_who_looks_on_changes_no_bit(call):
    X, Y = draw()
    seen = []
    alone = CALLS[call](X, Y)
    watched = CALLS[call](X, Y, verbose=1, callback=lambda state: seen.append(state), time_limit=1e6)
    for one, other in zip(parameters(alone), parameters(watched), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert seen


@EVERY
def test_the_callback_sees_each_pass_and_how_many_models_are_done(call):
    X, Y = draw()
    seen = []
    CALLS[call](X, Y, callback=lambda state: seen.append(state))
    assert [state.passes for state in seen] == list(range(1, len(seen) + 1))
    done = [state.done for state in seen]
    assert done == sorted(done)
    assert {state.models for state in seen} == {MODELS[call]}
    assert {state.call for state in seen} == {call.partition(" ")[0]}
    assert done[0] == 0
    assert done[-1] <= MODELS[call] == len(seen[-1].costs)
    assert np.all(np.isfinite(seen[-1].costs[: done[-1]]))
    assert repr(seen[0]) == f"0 of {MODELS[call]} models, 1 pass"


def test_the_callback_of_each_namespace_sees_the_same_passes(where):
    X, Y = draw()
    seen = []
    xlogreg.fit_cv(where.asarray(X), Y, L2S, folds=3, callback=lambda state: seen.append(state))
    assert seen[-1].done == 18
    assert seen[-1].best.value == pytest.approx(
        xlogreg.fit_cv(X, Y, L2S, folds=3).summary("log_loss")[0].min(), rel=1e-4
    )


@pytest.mark.parametrize("kind", ["map", "factory", "sparse"])
def test_data_in_files_and_sparse_data_tell_the_same(tmp_path, kind):
    X, Y = draw()
    np.save(tmp_path / "X.npy", X)
    kinds = {
        "map": lambda: (np.load(tmp_path / "X.npy", mmap_mode="r"), Y),
        "factory": lambda: (lambda: iter([(X[:, :300], Y[:300]), (X[:, 300:], Y[300:])]), None),
        "sparse": lambda: (scipy.sparse.csc_array(X), Y),
    }
    there, here = [], []
    found = xlogreg.fit_cv(*kinds[kind](), L2S, folds=np.arange(600) % 3, callback=there.append)
    xlogreg.fit_cv(X, Y, L2S, folds=np.arange(600) % 3, callback=here.append)
    assert there[-1].done == here[-1].done == 18
    assert there[-1].best.value == pytest.approx(here[-1].best.value, rel=1e-6)
    assert there[-1].best.value == pytest.approx(found.summary("log_loss")[0].min(), rel=1e-6)


@pytest.mark.parametrize(("options", "score"), [({}, "log_loss"), ({"scoring": "accuracy"}, "accuracy")])
@pytest.mark.parametrize("asked", [{"l2s": L2S}, {"penalties": L2S, "l1_ratio": 0.9}])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_best_score_so_far_ends_up_as_that_of_the_selection(options, score, asked, classes):
    X, Y = draw(classes=classes)
    seen = []
    found = xlogreg.fit_cv(1e3 + X, Y, folds=3, callback=lambda state: seen.append(state.best), **asked, **options)
    mean = found.summary(score)[0]
    assert seen[0] is None
    assert (seen[-1].score, seen[-1].value) == (score, pytest.approx(mean[found.chosen], rel=1e-6))
    assert seen[-1].l1 + seen[-1].l2 in found.penalties[np.isclose(mean, mean[found.chosen])]
    assert str(seen[-1]).startswith(f"best {score.replace('_', ' ')} {mean[found.chosen]:.4g} at l")


@EVERY
@pytest.mark.parametrize("with_tqdm", [True, False])
def test_the_line_ends_with_all_models(capsys, monkeypatch, with_tqdm, call):
    if not with_tqdm:
        without_tqdm(monkeypatch)
    CALLS[call](*draw(), verbose=1)
    shown = capsys.readouterr()
    name, count = call.partition(" ")[0], MODELS[call]
    last = shown.err.rstrip("\n").split("\r")[-1]
    assert last.startswith(f"{name}: 100%" if with_tqdm else f"{name}: {count} of {count} models, ")
    assert f"{count} converged" in last
    assert shown.out == ""
    assert shown.err.endswith("\n")


@pytest.mark.parametrize("with_tqdm", [True, False])
def test_the_line_of_a_fit_ends_with_all_of_its_iterations(capsys, monkeypatch, with_tqdm):
    if not with_tqdm:
        without_tqdm(monkeypatch)
    info = xlogreg.fit(*draw(), verbose=1).fit_info
    last = capsys.readouterr().err.rstrip("\n").split("\r")[-1]
    assert (f" {info.iterations}/{info.iterations} " if with_tqdm else f"{info.iterations} iterations, ") in last
    assert f"converged, cost {info.cost:.6g}" in last


def test_the_line_of_a_path_that_ends_early_counts_the_models_that_there_are(capsys, monkeypatch):
    without_tqdm(monkeypatch)
    path = xlogreg.fit_path(*draw(), penalties="auto", verbose=1)
    last = capsys.readouterr().err.split("\r")[-1]
    assert len(path) < 100
    assert last.startswith(f"fit_path: {len(path)} of {len(path)} models, ")


def test_a_shorter_text_leaves_nothing_of_a_longer_one_on_the_line(capsys, monkeypatch):
    without_tqdm(monkeypatch)
    monkeypatch.setattr("xlogreg.fitting.progress.SECONDS_BETWEEN", -1.0)
    xlogreg.fit(*draw(), verbose=1)
    texts = capsys.readouterr().err.rstrip("\n").split("\r")[1:]
    assert all(len(text) >= len(before.rstrip()) for before, text in itertools.pairwise(texts))


@EVERY
@pytest.mark.parametrize("with_tqdm", [True, False])
def test_ctrl_c_ends_the_line_and_the_call(capsys, caplog, monkeypatch, with_tqdm, call):
    if not with_tqdm:
        without_tqdm(monkeypatch)

    def interrupt(state):
        raise KeyboardInterrupt

    with caplog.at_level(logging.INFO, logger="xlogreg"), pytest.raises(KeyboardInterrupt):
        CALLS[call](*draw(), verbose=1, callback=interrupt)
    assert capsys.readouterr().err.endswith("\n")
    assert caplog.records[-1].getMessage() == f"{call.partition(' ')[0]} ended by KeyboardInterrupt"


@EVERY
def test_the_callback_stops_a_call_with_what_it_has(call):
    X, Y = draw()
    models = CALLS[call](X, Y, callback=lambda state: state.passes == 2)
    assert {model.fit_info.reason for model in models} <= {"converged", "callback"}
    assert models[-1].fit_info.reason == "callback"
    begun = [model for model in models if np.isfinite(model.fit_info.cost)]
    assert begun
    for model in begun:
        assert model.evaluate(X, model.predict(X)).log_loss > 0.0  # it predicts
    for model in models[len(begun) :]:
        assert (model.fit_info.iterations, model.fit_info.passes) == (0, 0.0)
        assert np.isnan(model.w).all()


@EVERY
def test_a_time_limit_ends_a_call_with_one_warning(call):
    name, count = call.partition(" ")[0], MODELS[call]
    with pytest.warns(xlogreg.ConvergenceWarning) as said:
        models = CALLS[call](*draw(), time_limit=1e-9)
    text = str(said[0].message)
    assert len(said) == 1
    assert text.startswith(f"{name}: time_limit=1e-09 seconds ended {count} of {count} models before they converged.")
    assert said[0].filename == __file__
    assert ("never began" in text) == any(np.isnan(model.fit_info.cost) for model in models) or name != "fit_many"
    assert {model.fit_info.reason for model in models} == {"time_limit"}


@pytest.fixture
def limited(monkeypatch):
    """Return a function that lets the time of a call be up after so many passes."""

    def limit(passes):
        count = itertools.count(1)
        monkeypatch.setattr(
            "xlogreg.solvers.result.Clock.tick", lambda clock, first: "time_limit" if next(count) > passes else ""
        )
        return {"time_limit": 5.0}

    return limit


def test_models_that_were_done_in_time_are_those_without_a_limit(limited):
    X, Y = draw(m=1500, n_x=6, classes=3)
    whole = xlogreg.fit_path(X, Y, L2S)
    with pytest.warns(xlogreg.ConvergenceWarning, match="never began"):
        path = xlogreg.fit_path(X, Y, L2S, **limited(15))
    reasons = [model.fit_info.reason for model in path]
    done = reasons.count("converged")
    assert 0 < done < 6
    assert reasons == ["converged"] * done + ["time_limit"] * (6 - done)
    for model, other in zip(path[:done], whole, strict=False):
        np.testing.assert_array_equal(model.w, other.w)
    assert np.isnan(path[-1].w).all()


@pytest.mark.parametrize("classes", [2, 3])
def test_an_unfinished_penalty_is_not_chosen_beside_a_finished_one(limited, classes):
    X, Y = draw(m=1500, n_x=6, classes=classes)
    options = {"penalties": L2S, "l1_ratio": 0.9} if classes == 2 else {"l2s": L2S}
    whole = xlogreg.fit_cv(X, Y, folds=3, refit=False, **options)
    passes = 0
    while True:
        passes += 10
        with pytest.warns(xlogreg.ConvergenceWarning, match="unless no other can be"):
            found = xlogreg.fit_cv(X, Y, folds=3, **options, **limited(passes))
        if found.done.any():
            break
        assert np.isfinite(found.scores["log_loss"][:, found.chosen]).any()
    assert found.done[found.chosen]
    assert not found.done.all()
    mean = found.summary("log_loss")[0]
    np.testing.assert_allclose(mean[found.done], whole.summary("log_loss")[0][found.done], rtol=1e-9)
    assert found.chosen == np.flatnonzero(found.done)[np.argmin(mean[found.done])]
    assert "not done" in str(found)
    assert found.model.fit_info.reason == "time_limit"
    assert found.model.fit_info.cost == pytest.approx(
        xlogreg.fit(X, Y, l1=found.l1[found.chosen], l2=found.l2[found.chosen]).fit_info.cost, rel=0.05
    )


@pytest.mark.parametrize("refit", [True, False])
def test_a_stopped_call_chooses_among_what_there_is_in_whatever_order_the_penalties_came(refit):
    X, Y = draw(m=120, classes=3)
    weak_first = L2S[::-1]
    options = {"penalties": weak_first, "folds": 3, "refit": refit, "callback": lambda state: True}
    found = xlogreg.fit_cv(X, Y, l1_ratio=0.9, **options)
    assert not found.done.any()
    assert found.chosen == 5
    assert "not known" in str(found)
    estimator = LogisticRegressionCV(Cs=[100.0, 0.1], l1_ratios=[0.9], refit=refit, callback=lambda state: True)
    estimator.fit(X.T, Y)
    assert estimator.C_ <= 0.1
    assert np.isfinite(estimator.coef_).all()


@pytest.mark.parametrize("classes", [2, 3])
def test_a_model_that_never_began_says_so_when_it_is_used(classes):
    X, Y = draw(m=120, classes=classes)
    path = xlogreg.fit_path(X, Y, penalties=L2S, l1_ratio=0.9, callback=lambda state: True)
    for use in (path[-1].predict, path[-1].predict_proba, lambda X: path[-1].evaluate(X, Y)):
        with pytest.raises(ValueError, match="no parameters, they are NaN: its fit ended with 'callback'"):
            use(X)
    assert path.selected[-1] == 0
    assert "nan" not in repr(path)
    assert repr(path[-1:]) == "Path(1 models, l1 from 9e-05 to 9e-05, l2 from 1e-05 to 1e-05, 0 converged)"
    assert repr(path[6:]) == "Path(0 models)"
    replicates = xlogreg.bootstrap(X, Y, 2, callback=lambda state: True)
    with pytest.raises(ValueError, match="there is no interval: none of the 2 replicates has a minimum"):
        replicates.interval()


def test_scorers_of_scikit_learn_score_only_models_that_began(limited):
    X, Y = draw(m=1500, n_x=6, classes=3)
    with pytest.warns(xlogreg.ConvergenceWarning, match="never began"):
        found = xlogreg.fit_cv(X, Y, L2S, folds=3, scoring="balanced_accuracy", **limited(20))
    np.testing.assert_array_equal(np.isnan(found.scores["balanced_accuracy"]), np.isnan(found.scores["log_loss"]))
    assert np.isnan(found.scores["log_loss"]).any()


def test_replicates_that_are_not_done_are_nan(limited, monkeypatch):
    monkeypatch.setattr("xlogreg.fitting.bootstrap.COUNTS_BYTES", 2 * 600)  # two replicates at a time
    with pytest.warns(xlogreg.ConvergenceWarning, match="bootstrap: time_limit=5 seconds ended") as said:
        found = xlogreg.bootstrap(*draw(), 7, **limited(14))
    assert len(said) == 1
    assert found.w.shape == (7, 5, 1)
    assert found.model.fit_info.converged
    assert 0 < found.valid.sum() < 7


def test_no_replicate_is_drawn_once_the_call_is_stopped(monkeypatch):
    monkeypatch.setattr("xlogreg.fitting.bootstrap._solve_replicates", None)
    found = xlogreg.bootstrap(*draw(), 3, callback=lambda state: True)
    assert (found.w.shape, found.valid.sum()) == ((3, 5, 1), 0)


def test_without_a_refit_the_models_of_the_folds_are_kept(where):
    X, Y = draw()
    found = xlogreg.fit_cv(where.asarray(X), Y, L2S, folds=3, refit=False)
    assert [len(row) for row in found.judged] == [3] * 6
    for penalty, row in enumerate(found.judged):
        for fold, model in enumerate(row):
            assert model.l2 == L2S[penalty]
            assert type(model.w) is type(where.asarray(X))
            own = found.folds == fold
            report = model.evaluate(where.asarray(X[:, own]), Y[own])
            assert report.log_loss == pytest.approx(found.scores["log_loss"][fold, penalty], rel=1e-4)
    with pytest.raises(AttributeError, match="refit=False fitted no model to all samples; `judged` has"):
        found.model  # noqa: B018  # no useless expression: the property raises
    assert "no refit" in repr(found)
    assert xlogreg.fit_cv(X, Y, L2S, folds=3).judged == ()


def test_the_rule_of_one_standard_error_is_refused_before_work_with_one_fold(monkeypatch):
    monkeypatch.setattr("xlogreg.fitting.fit_cv.fit_left_out", None)
    with pytest.raises(ValueError, match="needs two folds that are held out, or more"):
        xlogreg.fit_cv(*draw(), L2S, folds=np.arange(600) % 3 // 2 - 1, rule="one standard error")


def test_a_record_is_logged_at_the_start_and_at_the_end_of_each_call(caplog):
    X, Y = draw()
    with caplog.at_level(logging.INFO, logger="xlogreg"):
        info = xlogreg.fit(X, Y, l2=0.1).fit_info
        xlogreg.fit_many(X, [Y, Y])
        LogisticRegressionCV(Cs=2).fit(X.T, Y)
    texts = [record.getMessage() for record in caplog.records]
    assert texts[0] == "fit began: 5 features, 600 samples, numpy on cpu (float64), solver auto"
    assert texts[1].startswith(f"fit ended: converged by {info.solver}, {info.iterations} iterations, ")
    assert [text.partition(":")[0] for text in texts[2:]] == [
        *("fit_many began", "fit_many ended"),
        *("fit_cv began", "fit_cv ended", "fit began", "fit ended"),
    ]
    assert texts[3].startswith("fit_many ended: 2 converged, ")


def test_each_step_is_logged_for_who_asks_for_it(caplog):
    with caplog.at_level(logging.DEBUG, logger="xlogreg"):
        info = xlogreg.fit(*draw(), solver="newton").fit_info
        xlogreg.fit_path(*draw(), L2S)
    texts = [record.getMessage() for record in caplog.records if record.levelno == logging.DEBUG]
    assert sum(text.startswith("fit: iteration ") for text in texts) == info.iterations
    assert "fit_path: 0 of 6 models, 1 pass" in texts


def test_nothing_is_logged_unless_asked_for(caplog, capsys):
    xlogreg.fit(*draw())
    assert not caplog.records
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "estimator", [LogisticRegression(), LogisticRegressionCV(Cs=3, cv=3), LogisticRegressionCV(Cs=3, cv=3, refit=False)]
)
def test_estimators_show_call_back_and_stop(estimator, capsys, monkeypatch):
    without_tqdm(monkeypatch)
    X, y = draw(classes=3)
    seen = []
    estimator = estimator.set_params(verbose=1, callback=seen.append).fit(X.T, y)
    assert len(seen) > 2
    shown = capsys.readouterr().err
    assert shown.endswith("\n")
    assert ("fit_cv: 9 of 9 models" in shown) == ("cv" in estimator.get_params())
    with pytest.warns(xlogreg.ConvergenceWarning, match="^time_limit=1e-09 seconds ended "):
        stopped = estimator.set_params(verbose=0, callback=None, time_limit=1e-9).fit(X.T, y)
    assert np.isfinite(stopped.coef_).all()
    stopped = estimator.set_params(time_limit=None, callback=lambda state: True).fit(X.T, y)
    assert np.isfinite(stopped.coef_).all()


def test_a_selection_that_is_not_done_is_drawn(limited):
    X, Y = draw(m=1500, n_x=6, classes=3)
    with pytest.warns(xlogreg.ConvergenceWarning, match="never began"):
        found = xlogreg.fit_cv(X, Y, L2S, folds=3, **limited(20))
    assert np.isnan(found.plot(ax=Figure().subplots()).mean).any()


def test_an_estimator_without_these_parameters_in_its_pickle_still_fits():
    estimator = LogisticRegression()
    del estimator.__dict__["callback"], estimator.__dict__["time_limit"]
    assert pickle.loads(pickle.dumps(estimator)).fit(draw()[0].T, draw()[1]).fit_info_.converged


@pytest.mark.parametrize("name", ["fit_many", "fit_path", "fit_cv", "bootstrap"])
@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"time_limit": 0}, "time_limit must be a finite number of seconds > 0, not 0"),
        ({"verbose": "yes"}, "verbose must be 0 or 1, not 'yes'"),
        ({"callback": 3}, "callback must be callable, not int"),
    ],
)
def test_options_of_long_calls_are_checked_by_name(name, option, message):
    with pytest.raises((ValueError, TypeError), match=message):
        CALLS[name](*draw(m=60), **option)


def test_a_model_that_goes_on_alone_is_scored_once():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.standard_normal((8, 900)), [np.arange(900) % 450 == 7]])  # a rare category
    Y, seen = 0.3 * X[0] > rng.logistic(size=900), []
    found = xlogreg.fit_cv(X, Y, 1 / (np.logspace(-4, 4, 10) * 900), tol=1e-7, callback=lambda s: seen.append(s.best))
    assert seen[-1].value == pytest.approx(found.summary("log_loss")[0].min(), rel=1e-6)
    assert seen[-1].l2 == found.l2[found.chosen]
