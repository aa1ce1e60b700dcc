"""Many models of wide data, n_x > m: the span of the samples, found once for all of them."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from xlogreg.arrays.place import to_host
from xlogreg.fitting.outcome import parameters_at
from xlogreg.fitting.plans import Plan
from xlogreg.model.model import Model
from xlogreg.samples.intake import Setting, gather
from xlogreg.samples.source import host_center
from xlogreg.solvers.coordinates import measure_spread, user_coordinates
from xlogreg.solvers.parameters import as_stored
from xlogreg.solvers.span import Span, is_even, reduce_wide, reduction_pays

__all__ = ["reduce_plan"]

HIDDEN = 1e-5  # of the penalty: variance of features that may be lost with their span


def reduce_plan(plan: Plan) -> tuple[Plan, Callable[[list[Model]], list[Model]]]:
    """The same models of r <= m features, where that pays, and what makes models of X of them: two passes, and one."""
    setting, options = plan.setting, plan.options[0]
    source = gather(setting, plan.targets[0], None)
    if not _shared(plan) or not reduction_pays(source, sum(option.steps for option in plan.options)):
        return plan, lambda models: models
    spread = measure_spread(source)
    if not np.all(np.isfinite(spread.variance)):
        return plan, lambda models: models  # for an error that says so
    user = user_coordinates(source.n_x, options.standardize, None)
    if not is_even(spread.variance, user):
        return plan, lambda models: models
    if options.bias:
        source = source.centered(spread.mean)
    user = user._replace(center=host_center(source))
    reduced, basis, spectrum, means = reduce_wide(source, user, options.bias)
    # what rounding of the products hides, against what the penalty lets count
    hidden = source.m * np.finfo(float).eps * np.max(spectrum, initial=0.0) / (4.0 * source.total_weight)
    if not len(spectrum) or hidden > HIDDEN * min(option.l2 for option in plan.options):
        return plan, lambda models: models
    inner = setting._replace(
        X=reduced.X, samples="columns", names=None, home=setting.place, stored=reduced.dtype, dtype=reduced.dtype
    )
    plain = [dataclasses.replace(option, standardize=False) for option in plan.options]
    span = Span(source.widened(), basis, np.ones((len(spectrum), 1)), user, means)
    return plan._replace(setting=inner, options=plain), functools.partial(_in_full, setting, span)


def _shared(plan: Plan) -> bool:
    """Whether several models have one span, with a penalty each: without one a warning would name features of it."""
    kinds = {(option.bias, option.standardize) for option in plan.options}
    same = len(plan.options) > 1 and len(kinds) == 1 and plan.options[0].standardize is not True
    cold = all(plan.initial(model) is None for model in range(len(plan.options)))
    return same and cold and all(option.l2 > 0 for option in plan.options)


def _in_full(setting: Setting, span: Span, models: list[Model]) -> list[Model]:
    """Models of X: one pass for all of them."""
    thetas = [np.concatenate([to_host(part) for part in (model.w, model.b.T)]) for model in models]
    theta = np.concatenate(thetas, axis=1)
    w, v = span.centered_parameters_of(theta[:, None, :])
    found, start = [], 0
    for model in models:
        own = slice(start, start + model.w.shape[1])
        start = own.stop
        parameters = parameters_at(setting, as_stored(w[:, own], v[own], span.center, setting.stored))
        found.append(dataclasses.replace(model, samples=setting.samples, feature_names=setting.names, **parameters))
    return found
