"""`fit_cv`: choose the penalty whose models predict unseen samples best."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xlogreg.arrays.choice import Where
from xlogreg.arrays.place import to_host
from xlogreg.exceptions import one_of, shown
from xlogreg.fitting.absent import warn_of_lacking
from xlogreg.fitting.fit_many import build_models
from xlogreg.fitting.held_out import LeftOut, fit_left_out, lacking_classes, number_folds
from xlogreg.fitting.monitors import Following, begin
from xlogreg.fitting.plans import Plan
from xlogreg.fitting.progress import ManyState
from xlogreg.fitting.selection import KNOWN, RULES, Selection, choose
from xlogreg.fitting.strengths import COUNT, Strengths
from xlogreg.inputs.columns import TableOptions
from xlogreg.inputs.door import learn_features
from xlogreg.inputs.options import Options
from xlogreg.inputs.tables import is_collection
from xlogreg.model.model import Model
from xlogreg.model.to_sklearn import with_labels
from xlogreg.samples.cluster.from_dask import bring
from xlogreg.samples.intake import Arrival, Received, receive, settle
from xlogreg.samples.threads import holds_threads

__all__ = ["Selection", "fit_cv"]

UNFINISHED = " Penalties whose models are unfinished are not chosen unless no other can be."


@holds_threads
def fit_cv(
    X: Any,
    Y: Any,
    l2s: Sequence[float] | np.ndarray | None = None,
    *,
    penalties: Sequence[float] | np.ndarray | str | None = None,
    l1_ratio: float | Sequence[float] | np.ndarray | None = None,
    penalty_factor: Any = None,
    lower: Any = None,
    upper: Any = None,
    multinomial: str = "ungrouped",
    penalty: Any = "each",
    folds: Any = 5,
    groups: Any = None,
    scoring: Any = "log_loss",
    rule: str = "best",
    relax: float | None = None,
    sample_weight: Any = None,
    offset: Any = None,
    samples: str = "columns",
    backend: str | None = None,
    device: Any = None,
    dtype: Any = None,
    fallback: bool = True,
    bias: bool = True,
    prior: Any = None,
    targets: str = "labels",
    standardize: bool | float = False,
    categorical_features: Any = None,
    drop: str | None = "auto",
    reference: dict[str, Any] | None = None,
    unseen: str = "error",
    missing: str = "error",
    max_iter: int | None = None,
    tol: float | None = None,
    rng: int | np.random.Generator = 0,
    refit: bool = True,
    callback: Callable[[ManyState], Any] | None = None,
    verbose: int = 0,
    time_limit: float | None = None,
) -> Selection:
    """Choose the penalty by cross-validation, and fit a model with it to all samples.

    The models of all penalties and folds are fitted together. A fold is a number for each sample, and a model does no
    work for the samples that it leaves out.

    Parameters
    ----------
    X, Y
        As for `fit`.
    l2s : sequence of float (P,)
        Or:
    penalties : sequence of float, or "auto"
        Strengths of an elastic net, as for `fit_path`; those of "auto" are the penalties of a path on all samples.
    l1_ratio : float, or sequence of float
        As for `fit_path`. Of several, each is tried with all its penalties.
    penalty_factor, lower, upper, multinomial, penalty
        As for `fit`; those of all models.
    folds : int, or array (m,)
        The number of folds, with the classes spread evenly over them; or the fold of each sample: any whole numbers or
        strings. Samples of a negative fold are never held out: to hold out one set only, number it 0 and the others -1.
    groups : array (m,), optional
        Samples of one group (a patient, a speaker) stay in one fold.
    scoring : "log_loss", "accuracy", or the name of a scorer of scikit-learn, or such a scorer
        The score that chooses the penalty.
    rule : {"best", "one standard error"}
        The penalty with the best mean score; or the strongest, with the same l1_ratio, whose mean is within one
        standard error of the best (Breiman, Friedman, Olshen & Stone, Classification and Regression Trees, 1984,
        section 3.4.3).
    relax : float, optional
        As for `fit`, for each model that has L1; so the scores are those of relaxed models.
    sample_weight : array (m,), optional
        Counts in the fits and in the scores.
    offset : array, optional
        As for `fit`; it counts in the fits and in the scores.
    samples, backend, device, dtype, fallback, bias, targets, standardize, max_iter, tol, rng
        As for `fit`; ``rng`` also deals the samples to the folds.
    prior : float, or array (K,), optional
        As for `fit`; for the chosen model alone: the scores of the folds are those of samples like the given ones.
    categorical_features, drop, reference, unseen, missing
        As for `fit`; drop="auto" drops a level if no model has a penalty. Missing numbers are filled in by the training
        part of each fold, so that nothing leaks into the scores.
    refit : bool
        Whether to fit a model with the chosen penalty to all samples. False keeps the models of the folds instead, in
        `Selection.judged`, as for one validation set.
    callback, verbose
        As for `fit_many`; also the best score so far: of the penalties whose models are done on the most folds, the one
        with the best mean of ``scoring``, or of the log loss for scorers of scikit-learn.
    time_limit : float, optional
        As for `fit_many`. A penalty is not chosen if the time was up before its models of all folds were done, unless
        no other can be. If there is no time left for the model of all samples, it is returned as good as it is: with
        the parameters of a fold's model of the chosen penalty. A callback that stops the call does the same.

    Returns
    -------
    Selection

    Raises
    ------
    ValueError, TypeError
        As `fit` does; also if the folds cannot be made, or if every fold leaves only one class to train on.

    Warns
    -----
    MissingClassWarning
        Once, if folds hold every sample of a class. Also the warnings of `fit`, each once for each model.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> X = np.random.default_rng(0).standard_normal((3, 200))
    >>> found = xlogreg.fit_cv(X, X[0] - X[1] > 0.5, l2s=[1.0, 0.1, 0.01, 0.001])
    >>> float(found.l2[found.chosen]), found.scores["accuracy"].shape
    (0.001, (5, 4))
    """
    began = time.perf_counter()
    one_of("rule", rule, RULES)
    strengths = Strengths.of(l2s, penalties, l1_ratio, several=True)
    same: dict[str, Any] = {"bias": bias, "standardize": standardize, "max_iter": max_iter, "tol": tol, "rng": rng}
    same |= {"lower": lower, "upper": upper, "multinomial": multinomial, "penalty": penalty, "relax": relax}
    same |= {"prior": prior, "callback": callback, "verbose": verbose, "time_limit": time_limit}
    options = strengths.provisional(penalty_factor=penalty_factor, **same)
    where = Where(backend, device, dtype, fallback)
    table = TableOptions.of(
        options,
        categorical_features=categorical_features,
        drop=drop,
        reference=reference,
        unseen=unseen,
        missing=missing,
    )
    if (is_collection(X) or callable(X)) and table.missing != "error":
        raise ValueError(
            f"missing={missing!r} in fit_cv needs X in memory or in files: each fold fills in its own; fit can do it"
        )
    received = receive(X, Y, sample_weight, samples, targets, where, options[0], table, offset=offset)
    options = received.arrival.origin.settled(options)
    scorer = None if isinstance(scoring, str) and scoring in KNOWN else _scorer(scoring, received.targets.hard)
    if scorer is not None and offset is not None:
        raise ValueError(f"scoring={scoring!r} knows no offset; with one, use {' or '.join(map(repr, KNOWN))}")
    numbers, held = number_folds(bring(folds), bring(groups), received.targets, np.random.default_rng(rng))
    if rule != "best" and len(held) < 2:
        raise ValueError(f"rule={rule!r} needs two folds that are held out, or more")
    lacking = lacking_classes(received.targets, received.weight, numbers)
    warn_of_lacking("folds", {fold: lacking[fold] for fold in held.tolist()}, received.targets.classes)

    def refill(part: np.ndarray) -> Arrival:
        weight = None if received.weight is None else to_host(received.weight)[0]
        return settle(learn_features(X, samples, table, part if weight is None else part * weight), where)

    name = scoring if isinstance(scoring, str) else getattr(scoring, "__name__", "scoring")

    def selected(here: Received) -> Selection:
        F = len(held)
        most = COUNT * len(strengths.ratios) * (1 + F) if strengths.auto else len(options) * F + refit
        begin(options, most, name if scorer is None else "log_loss")
        each, whole = _of_paths(strengths, here, options, began)
        if options[0].course is not None:
            options[0].course.expect(len(each) * F + (refit and not whole))
        plain, fold_of = [dataclasses.replace(option, prior=None) for option in each], np.repeat(held, len(each))
        left = fit_left_out(here.on_host(), plain * F, numbers, fold_of, lacking, began, refill)
        scores = left.scores(received.weight)
        if scorer is not None:
            scores[name] = _scored(left.models, received, numbers, left.fold_of, scorer)
        by_fold = {key: values.reshape(F, -1) for key, values in scores.items()}
        l1, l2 = (np.asarray([getattr(option, key) for option in each]) for key in ("l1", "l2"))
        done = np.all(left.done.reshape(F, -1), axis=0)
        better = -by_fold[name] if scorer is None and name == "log_loss" else by_fold[name]
        chosen = choose(l1, l2, better, rule, done)
        judged = () if refit else left.by_penalty(here.arrival.origin)
        model = (whole[chosen] if whole else _refitted(here, each[chosen], left, chosen, began)) if refit else None
        rows = np.where(numbers < F, numbers, -1)
        return Selection(l1, l2, by_fold, rows, name, rule, chosen, done, judged, model)

    with Following("fit_cv", received.arrival, options, began, UNFINISHED) as options:
        return received.within_memory(selected)


def _refitted(received: Received, option: Options, left: LeftOut, chosen: int, began: float) -> Model:
    """Fit all samples with the chosen penalty; once the call is stopped, that takes no step from a model of a fold."""
    plan = Plan.of_one(received, [option])
    plan = plan._replace(initials=[left.near(chosen)]) if plan.stopped else plan
    return build_models(plan, began)[0]


def _of_paths(
    strengths: Strengths, received: Received, options: list[Options], began: float
) -> tuple[list[Options], list[Model]]:
    """Return the options of all penalties; those of "auto" with their models of all samples, which end each path."""
    if not strengths.auto:
        return options, []
    options, models = strengths.settled(received, options), []
    kept: list[Options] = []
    count = len(options) // len(strengths.ratios)
    for start in range(0, len(options), count):
        own = options[start : start + count]
        found = build_models(Plan.of_one(received, own)._replace(ends=True), began)
        models += found
        kept += own[: len(found)]
    return kept, models


def _scorer(scoring: Any, hard: bool) -> Any:
    """Return the scorer of scikit-learn that ``scoring`` names or is."""
    try:
        from sklearn.metrics import get_scorer  # imported here because it loads slowly
    except ModuleNotFoundError as error:
        raise ImportError(f"scoring={scoring!r} needs scikit-learn: pip install 'xlogreg[sklearn]'") from error
    if not isinstance(scoring, str) and not callable(scoring):
        raise TypeError(f"scoring must be a name, or a scorer of scikit-learn, not {shown(scoring)}")
    if not hard:
        raise ValueError(f"scoring={scoring!r} needs labels, not probabilities; use 'log_loss' or 'accuracy'")
    return get_scorer(scoring)


def _scored(
    models: list[Model], received: Received, numbers: np.ndarray, fold_of: np.ndarray, scorer: Any
) -> np.ndarray:
    """Score the models (g,) with a scorer of scikit-learn, on the host."""
    arrival, targets, weight = received
    if targets.Y.shape[0] == 1:
        y = targets.classes[to_host(targets.Y)[0].astype(np.int64)]
    else:
        y = targets.classes[np.argmax(to_host(targets.Y), axis=0)]
    scores, scorer = np.full(len(models), np.nan), with_labels(scorer, targets.classes)
    held: int | None = None
    rows: Any = None
    for number, (model, fold) in enumerate(zip(models, fold_of.tolist(), strict=True)):
        if np.isnan(model.fit_info.cost):  # it never began
            continue
        test = numbers == fold
        if fold != held:  # the models of a fold follow each other
            held, rows = fold, arrival.samples.host_rows(np.flatnonzero(test))
        weighted = {} if weight is None else {"sample_weight": to_host(weight)[0, test]}
        exported = dataclasses.replace(model, feature_names=None).to_sklearn()
        # each call has a copy of its own, since a scorer may write into it
        scores[number] = scorer(exported, rows.copy(), y[test], **weighted)
    return scores
