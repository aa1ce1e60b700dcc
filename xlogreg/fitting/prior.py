"""What moves the scores of a model after the minimum: a bias that is fitted once more, and the prior correction."""

import numpy as np

from xlogreg.samples.source import Samples

__all__ = ["score_shift"]


def score_shift(refitted: float, prior: np.ndarray | None, samples: Samples) -> np.ndarray | None:
    """Return what is added to the scores (k,), or None for nothing.

    The prior correction subtracts log(share / prior) of each class, for two classes the difference of both (King & Zeng
    2001, equation 7).

    Parameters
    ----------
    refitted : float
        By how much the bias moved when it was fitted once more.
    prior : ndarray (1,) or (K,), or None
        Share of the second class in the population, or of each class.
    samples : Samples
        Those of the fit: their shares are by weight.
    """
    if prior is None:
        return np.full(1, refitted) if refitted else None
    population = prior if len(prior) > 1 else np.append(1.0 - prior, prior)
    with np.errstate(divide="ignore"):  # a class may have no sample; there is no model then
        moved = np.log(population) - np.log(samples.shares())
    return refitted + (moved[1:] - moved[:1] if len(moved) == 2 else moved)
