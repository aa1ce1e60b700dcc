"""The penalty of a fit, from its options."""

import numpy as np

from xlogreg.inputs.options import Options
from xlogreg.math.groups import Grouped
from xlogreg.math.penalties import Penalty, make_penalty

__all__ = ["penalty_of"]


def penalty_of(options: list[Options], units: np.ndarray, scale: np.ndarray, k: int = 1) -> Penalty:
    """Make the penalty of g models from their options, for a theta of these ``units`` and this scale (n_x, 1, 1).

    ``k`` is the number of outputs of each model.
    """
    l1s, l2s = (np.asarray([getattr(o, name) for o in options]) for name in ("l1_strength", "strength"))
    penalty = make_penalty(l2s, options[0].factor, units, l1s if np.any(l1s) else None, options[0].bounds_of(scale))
    groups, joint = options[0].groups, options[0].multinomial == "grouped" and k > 1
    if not np.any(l1s) or (groups is None and not joint):
        return penalty
    own = np.arange(len(penalty.factor))  # the bias, and features without a penalty, are groups of their own
    numbers = own if groups is None else np.append(np.unique(groups, return_inverse=True)[1], -1)
    numbers = np.where(penalty.factor[:, 0, 0] > 0, numbers, len(own) + own)
    group, counts = np.unique(numbers, return_inverse=True, return_counts=True)[1:]
    if counts.max() == 1 and not joint:
        return penalty
    root = np.sqrt(counts[group])[:, None, None]
    same = penalty.strength, penalty.factor, penalty.units, penalty.plain, l1s
    return Grouped(*same, group=group, root=root, largest=int(counts.max()), joint=joint)
