"""The penalty of `xlogreg fit`: as options say it, or chosen by cross-validation, and a sentence about which it was."""

import argparse
import math
from typing import Any, NamedTuple

import numpy as np

from xlogreg.fitting.fit_cv import Selection, fit_cv
from xlogreg.model.model import Model

__all__ = ["Choice", "as_json_of", "choose_penalty"]

STRENGTHS = np.logspace(-4.0, 4.0, 10)  # of scikit-learn's C, of which l2 = 1 / (C m)
FOLDS = 5  # of the cross-validation, or fewer if a class has fewer samples
SELECTING = 1e-7  # relative gap of the fits of a cross-validation
ALONE = ("formula", "initial", "checkpoint", "dask")  # options beside which no penalty is chosen


class Choice(NamedTuple):
    """The penalty of a fit.

    Attributes
    ----------
    l1, l2 : float
    said : str
        Where the penalty comes from.
    selection : Selection or None
        The cross-validation that chose it.
    """

    l1: float
    l2: float
    said: str
    selection: Selection | None = None


def choose_penalty(
    arguments: argparse.Namespace,
    samples: dict[str, Any],
    options: dict[str, Any],
    whole: bool,
    initial: Model | None = None,
) -> Choice:
    """Take the penalty that was asked for, or choose it by cross-validation.

    Parameters
    ----------
    arguments : Namespace
        The options of `xlogreg fit`.
    samples : dict
        X, Y and what belongs to them, as arguments of `fit_cv`.
    options : dict
        Further arguments of `fit_cv`.
    whole : bool
        Whether the samples are a table that was read whole.
    initial : Model, optional
        The model to start from, whose penalty is taken if none is given.

    Raises
    ------
    ValueError
        If options contradict each other, or a class has too few samples to choose the penalty.
    """
    asked = next((name for name in ("folds", "rule") if getattr(arguments, name) is not None), None)
    given = next((name for name in ("l1", "l2") if getattr(arguments, name) is not None), None)
    if arguments.l1_ratio is not None and not 0.0 < arguments.l1_ratio <= 1.0:
        raise ValueError(f"--l1-ratio must be above 0 and at most 1, not {arguments.l1_ratio:g}; without it, all is L2")
    alone = next((name for name in ALONE if getattr(arguments, name)), None)
    alone = "summary" if alone is None and arguments.summary and arguments.l1_ratio is None else alone
    wanted = "l1_ratio" if arguments.l1_ratio is not None else asked
    hinders = given or alone
    if wanted is not None and hinders is not None:
        said = f"{_option(wanted)} is for the choice of the penalty by cross-validation"
        raise ValueError(f"{said}, which cannot be had with {_option(hinders)}")
    if given is not None:
        l1, l2 = arguments.l1 or 0.0, arguments.l2 or 0.0
        return Choice(l1, l2, f"penalty {_said(l1, l2)}, as given")
    if initial is not None and (initial.l1 or initial.l2):
        l1, l2 = initial.l1 or 0.0, initial.l2 or 0.0
        return Choice(l1, l2, f"penalty {_said(l1, l2)}, as of the model to start from; --l2 sets another")
    if alone is not None:
        return Choice(0.0, 0.0, f"no penalty: none is chosen beside {_option(alone)}; --l2 sets one")
    if not whole and wanted is None:
        said = "no penalty: for arrays and parts that are read in blocks one is chosen only with --folds; --l2 sets one"
        return Choice(0.0, 0.0, said)
    return _chosen(arguments, samples, options)


def _chosen(arguments: argparse.Namespace, samples: dict[str, Any], options: dict[str, Any]) -> Choice:
    folds, fewer = _folds(arguments.folds, samples)
    rule = (arguments.rule or "best").replace("-", " ")
    asked: dict[str, Any] = {"penalties": "auto", "l1_ratio": arguments.l1_ratio}
    if arguments.l1_ratio is None:
        weight = samples.get("sample_weight")
        asked = {"l2s": 1.0 / (STRENGTHS * (len(samples["Y"]) if weight is None else int(np.sum(weight))))}
    asked |= {"folds": folds, "rule": rule, "time_limit": arguments.time_limit}
    found = fit_cv(**samples, **options, **asked, tol=SELECTING)
    number, last = found.chosen, len(found.l2) - 1
    l1, l2 = found.l1[number].item(), found.l2[number].item()
    strength = _said(l1, l2)
    which = "the smallest log loss" if rule == "best" else "the strongest within a standard error of the best"
    said = f"penalty {strength}, chosen by cross-validation on {folds} folds: {which}{fewer}"
    if arguments.l1_ratio is None and number in (0, last):
        said += f"; it is the {'strong' if number == 0 else 'weak'}est that was tried, --l2 sets any"
    return Choice(l1, l2, said, found)


def _folds(asked: int | None, samples: dict[str, Any]) -> tuple[int, str]:
    """Return the number of folds, and say why there are fewer than asked for."""
    labels, weight = samples["Y"], samples.get("sample_weight")
    classes, counts = np.unique(labels if weight is None else labels[weight > 0], return_counts=True)
    folds, fewest = FOLDS if asked is None else asked, int(np.min(counts))
    if folds < 2:
        raise ValueError(f"--folds must be 2 or more, not {folds}")
    label = classes.tolist()[int(np.argmin(counts))]
    if fewest < 2:
        raise ValueError(
            f"one sample of the class {label!r} to train on is too few to choose the penalty by cross-validation; add "
            "samples, or give --l2"
        )
    if fewest >= folds:
        return folds, ""
    return fewest, f" ({fewest} folds, not {folds}, since the class {label!r} has {fewest} samples)"


def as_json_of(choice: Choice) -> dict[str, Any] | None:
    """The penalties that were tried, the number of folds, and the mean of each score over the folds; None if none.

    The mean is None for a penalty of which a model never began.
    """
    found = choice.selection
    if found is None:
        return None
    means = {
        name: [mean if math.isfinite(mean) else None for mean in found.summary(name)[0].tolist()]
        for name in found.scores
    }
    return {"l1": found.l1.tolist(), "l2": found.l2.tolist(), "folds": len(found.scores["log_loss"])} | means


def _said(l1: float, l2: float) -> str:
    return f"l1 {l1:.4g}, l2 {l2:.4g}" if l1 else f"l2 {l2:.4g}"


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
