"""What a cross-validation found: its scores, the penalty that is chosen by them, and the models."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from xlogreg.exceptions import one_of
from xlogreg.model.model import Model

__all__ = ["KNOWN", "RULES", "Selection", "choose"]

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
        The fold of each sample, which is its row of the ``scores``; -1 if it was never held out.
    scoring : str
        The score that chose the penalty: "log_loss" by its smallest value, all others by their largest.
    rule : str
    chosen : int
        The number of the chosen penalty.
    done : ndarray (P,) of bool
        Whether the models of all folds were done with each penalty when a time limit or a callback stopped the call. If
        nothing stopped it, all were done.
    judged : tuple of tuples of Model
        With refit=False, the models whose scores these are: ``judged[p][f]`` has penalty p and was fitted without fold
        f of the ``scores``. Otherwise it is empty, since so many models may take more memory than X.
    """

    l1: np.ndarray
    l2: np.ndarray
    scores: dict[str, np.ndarray]
    folds: np.ndarray
    scoring: str
    rule: str
    chosen: int
    done: np.ndarray
    judged: tuple[tuple[Model, ...], ...]
    _model: Model | None

    @property
    def model(self) -> Model:
        """The model with the chosen penalty, fitted to all samples.

        Raises
        ------
        AttributeError
            If refit=False left it out.
        """
        if self._model is None:
            raise AttributeError("refit=False fitted no model to all samples; `judged` has the models of the folds")
        return self._model

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
        model = "no refit" if self._model is None else repr(self._model)
        return f"Selection({asked} of {len(self.l2)} by {self.scoring}, {self.rule}; {model})"

    def __str__(self) -> str:
        rows = ["".join(f"{name:>12}" for name in self._shown) + "".join(f"{name:>24}" for name in self.scores)]
        for number in range(len(self.l2)):
            cells = [_cell(mean[number], error[number]) for mean, error in map(self.summary, self.scores)]
            mark = (" *" if number == self.chosen else "") + ("" if self.done[number] else " (not done)")
            asked = "".join(f"{value[number]:>12.4g}" for value in self._shown.values())
            rows.append(asked + "".join(f"{cell:>24}" for cell in cells) + mark)
        return "\n".join(rows)

    def summary(self, scoring: str) -> tuple[np.ndarray, np.ndarray]:
        """Mean of a score and its standard error over the folds, for each penalty: two arrays (P,).

        One fold has no standard error: it is NaN. A penalty that has no score of some fold has a mean of NaN.

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
        return _summary(self.scores[scoring], self.done)

    def plot(self, ax: Any = None) -> Any:
        """Draw the scores that chose the penalty over l1 + l2; return an `xlogreg.plots.ScoresDisplay`.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; without it, a new figure.
        """
        from xlogreg.plots import ScoresDisplay  # needs matplotlib, an extra

        return ScoresDisplay.from_selection(self, ax=ax)


def _cell(mean: float, error: float) -> str:
    """Format a mean score, with its standard error if there is one."""
    return "not known" if np.isnan(mean) else f"{mean:.5g}" + ("" if np.isnan(error) else f" ± {error:.2g}")


def _summary(scores: np.ndarray, done: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of scores (F, P) and its standard error over the folds, for each penalty."""
    finite = np.isfinite(scores)
    known = scores[finite[:, np.argmax(done)] if np.any(done) else np.any(finite, axis=1)]
    if len(known) == 0:
        raise ValueError("no fold has a score that is finite: there is nothing to compare; use fewer folds")
    error = np.std(known, axis=0, ddof=1) / np.sqrt(len(known)) if len(known) > 1 else np.full(known.shape[1], np.nan)
    return np.mean(known, axis=0), error


def choose(l1: np.ndarray, l2: np.ndarray, scores: np.ndarray, rule: str, done: np.ndarray) -> int:
    """Choose a penalty by scores (F, P), the largest being the best, and return its number.

    Penalties that are not ``done`` (P,) are not chosen. If none is, the choice is by mean score among those that have a
    score on the most folds, whatever the rule.
    """
    mean, error = _summary(scores, done)
    if not np.any(done):
        counts = np.sum(np.isfinite(scores), axis=0)
        rough = np.nansum(scores, axis=0) / np.maximum(counts, 1)
        return int(np.argmax(np.where(counts == counts.max(), rough, -np.inf)))
    best = int(np.argmax(np.where(done, mean, -np.inf)))
    if rule == "best":
        return best
    if np.isnan(error[best]):
        raise ValueError(f"rule={rule!r} needs two folds that are held out, or more")
    strength = l1 + l2
    ratio = l1 / np.where(strength > 0, strength, 1.0)
    alike = np.isclose(ratio, ratio[best], rtol=1e-9, atol=0.0)
    near = np.flatnonzero((mean >= mean[best] - error[best]) & alike & done)
    return int(near[np.argmax(strength[near])])
