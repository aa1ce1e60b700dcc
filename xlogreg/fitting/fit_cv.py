"""`fit_cv`: choose the penalty whose models predict unseen samples best."""

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xlogreg.arrays.choice import Where
from xlogreg.arrays.place import to_host
from xlogreg.exceptions import one_of, shown
from xlogreg.fitting.absent import warn_of_lacking
from xlogreg.fitting.fit_many import build_models
from xlogreg.fitting.held_out import fit_left_out, lacking_classes, number_folds
from xlogreg.fitting.plans import Plan
from xlogreg.fitting.strengths import Strengths
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

KNOWN = ("log_loss", "accuracy")
RULES = ("best", "one standard error")


@dataclass(frozen=True, eq=False, repr=False)
class Selection:
    """The scores of a cross-validation, the penalty chosen by them, and the model fitted with it to all samples.

    Attributes
    ----------
    l1, l2 : ndarray (P,)
        The penalties.
    scores : dict of ndarray (F, P)
        By name, the scores of each fold and penalty, by weight, on the samples that the model had not seen. They are
        "log_loss", "accuracy", and the scoring asked for. If a fold holds every sample of a class, its models give that
        class the probability 0, which counts as eps in the log loss; if they saw one class only, they always predict
        that class.
    folds : ndarray (m,)
        The fold of each sample, from 0 on.
    scoring : str
        The score that chose the penalty: "log_loss" by its smallest value, all others by their largest.
    rule : str
    chosen : int
        The number of the chosen penalty.
    model : Model
    """

    l1: np.ndarray
    l2: np.ndarray
    scores: dict[str, np.ndarray]
    folds: np.ndarray
    scoring: str
    rule: str
    chosen: int
    model: Model

    @property
    def penalties(self) -> np.ndarray:
        """l1 + l2 (P,)."""
        return self.l1 + self.l2

    @property
    def _shown(self) -> dict[str, np.ndarray]:
        """The penalties that are not zero throughout, by name."""
        return {name: value for name, value in {"l1": self.l1, "l2": self.l2}.items() if value.any()} or {"l2": self.l2}

    def __repr__(self) -> str:
        asked = ", ".join(f"{name}={value[self.chosen]:.4g}" for name, value in self._shown.items())
        return f"Selection({asked} of {len(self.l2)} by {self.scoring}, {self.rule}; {self.model!r})"

    def __str__(self) -> str:
        rows = ["".join(f"{name:>12}" for name in self._shown) + "".join(f"{name:>24}" for name in self.scores)]
        for number in range(len(self.l2)):
            cells = [f"{mean[number]:.5g} ± {error[number]:.2g}" for mean, error in map(self.summary, self.scores)]
            mark = " *" if number == self.chosen else ""
            asked = "".join(f"{value[number]:>12.4g}" for value in self._shown.values())
            rows.append(asked + "".join(f"{cell:>24}" for cell in cells) + mark)
        return "\n".join(rows)

    def summary(self, scoring: str) -> tuple[np.ndarray, np.ndarray]:
        """Mean of a score and its standard error over the folds, for each penalty: two arrays (P,).

        Parameters
        ----------
        scoring : str
            One of ``scores``.

        Raises
        ------
        ValueError
            If ``scores`` has no such name.
        """
        one_of("scoring", scoring, tuple(self.scores))
        return _summary(self.scores[scoring])

    def plot(self, ax: Any = None) -> Any:
        """Draw the scores that chose the penalty over l1 + l2; return an `xlogreg.plots.ScoresDisplay`.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; without it, a new figure.
        """
        from xlogreg.plots import ScoresDisplay  # needs matplotlib, an extra

        return ScoresDisplay.from_selection(self, ax=ax)


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
    same |= {"prior": prior}
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
    lacking = lacking_classes(received.targets, received.weight, numbers)
    warn_of_lacking("folds", {fold: lacking[fold] for fold in held.tolist()}, received.targets.classes)

    def refill(part: np.ndarray) -> Arrival:
        weight = None if received.weight is None else to_host(received.weight)[0]
        return settle(learn_features(X, samples, table, part if weight is None else part * weight), where)

    name = scoring if isinstance(scoring, str) else getattr(scoring, "__name__", "scoring")

    def selected(here: Received) -> Selection:
        each, whole = _of_paths(strengths, here, options, began)
        plain, fold_of = [dataclasses.replace(option, prior=None) for option in each], np.repeat(held, len(each))
        left = fit_left_out(here.on_host(), plain * len(held), numbers, fold_of, lacking, began, refill)
        scores = left.scores(received.weight)
        if scorer is not None:
            scores[name] = _scored(left.models, received, numbers, left.fold_of, scorer)
        by_fold = {key: values.reshape(len(held), -1) for key, values in scores.items()}
        l1, l2 = (np.asarray([getattr(option, key) for option in each]) for key in ("l1", "l2"))
        chosen = _choose(l1, l2, -by_fold[name] if scorer is None and name == "log_loss" else by_fold[name], rule)
        model = whole[chosen] if whole else build_models(Plan.of_one(here, [each[chosen]]), began)[0]
        return Selection(l1, l2, by_fold, numbers, name, rule, chosen, model)

    return received.within_memory(selected)


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
        test = numbers == fold
        if fold != held:  # the models of a fold follow each other
            held, rows = fold, arrival.samples.host_rows(np.flatnonzero(test))
        weighted = {} if weight is None else {"sample_weight": to_host(weight)[0, test]}
        exported = dataclasses.replace(model, feature_names=None).to_sklearn()
        # each call has a copy of its own, since a scorer may write into it
        scores[number] = scorer(exported, rows.copy(), y[test], **weighted)
    return scores


def _summary(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of scores (F, P) and its standard error over the folds, for each penalty."""
    known = scores[np.isfinite(scores[:, 0])]
    if len(known) == 0:
        raise ValueError("no fold has a score that is finite: there is nothing to compare; use fewer folds")
    error = np.std(known, axis=0, ddof=1) / np.sqrt(len(known)) if len(known) > 1 else np.full(known.shape[1], np.nan)
    return np.mean(known, axis=0), error


def _choose(l1: np.ndarray, l2: np.ndarray, scores: np.ndarray, rule: str) -> int:
    """Choose a penalty by scores (F, P), the largest being the best, and return its number."""
    mean, error = _summary(scores)
    best = int(np.argmax(mean))
    if rule == "best":
        return best
    if np.isnan(error[best]):
        raise ValueError(f"rule={rule!r} needs two folds that are held out, or more")
    strength = l1 + l2
    ratio = l1 / np.where(strength > 0, strength, 1.0)
    near = np.flatnonzero((mean >= mean[best] - error[best]) & np.isclose(ratio, ratio[best], rtol=1e-9, atol=0.0))
    return int(near[np.argmax(strength[near])])
