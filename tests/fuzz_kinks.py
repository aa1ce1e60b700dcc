"""The judge of the fuzzer for fits with L1 and bounds: the cost of the model, a lower one, and a bound of all.

For probabilities alpha between the targets and those of a model, of the same mean, no cost is below mean H(alpha)
- h*(-V) with V = X (alpha - Y)' / s, where H is the entropy and h* the conjugate of the penalty within the bounds.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.fuzz_cases import Case
from tests.judge import Problem
from tests.verdicts import COST, FLOOR, WRONG, in_float32, problem_of

__all__ = ["kinked_faults"]

STEPS = 200
BALANCED = 1e-9  # slope along the bias, up to which the means count as the same: far less than what is sure
SURE = 1e-7  # of the cost, between the lowest cost and the bound
ESTIMATE = 100.0  # times that a gap may be larger than its estimate


@dataclass(frozen=True, eq=False)
class Kinked:
    """A problem with l1 sum_j unit_j |w_j| and bounds, in the coordinates of the judge; arrays are (p, 1)."""

    problem: Problem
    kink: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @classmethod
    def of(cls, case: Case) -> "Kinked":
        problem, options = problem_of(case), case.options
        scale, ones = problem.scale, np.ones_like(problem.scale)
        parts = options["l1"] * problem.unit / scale, options.get("lower", -np.inf) * scale * ones
        parts = *parts, options.get("upper", np.inf) * scale * ones
        if problem.bias:
            parts = [np.vstack([part, [[end]]]) for part, end in zip(parts, (0.0, -np.inf, np.inf), strict=True)]
        return cls(problem, *parts)

    def cost(self, theta: np.ndarray) -> np.longdouble:
        return self.problem.cost(theta) + np.sum(self.kink * np.abs(theta))

    def model_cost(self, w, b, center, centered_b) -> float:
        unit = self.problem.unit
        n = len(unit)
        l1 = np.sum(self.kink[:n] * self.problem.scale * np.abs(np.asarray(w).astype(np.longdouble)))
        return float(self.problem.model_cost(w, b, center, centered_b) + l1)

    def theta_of(self, w, b, center, centered_b) -> np.ndarray:
        w, b = np.asarray(w).astype(np.longdouble), np.asarray(b).astype(np.longdouble)
        if center is not None:
            b = np.asarray(centered_b).astype(np.longdouble) - w.T @ np.asarray(center).astype(np.longdouble)
        n, v = len(w), b + w.T @ self.problem.center
        theta = np.clip(w * self.problem.scale, self.lower[:n], self.upper[:n])
        return np.vstack([theta, v.T]) if self.problem.bias else theta

    def residuals(self, theta: np.ndarray) -> np.ndarray:
        """A - Y (K, m)."""
        return self.problem.probabilities(theta) - self.problem.Y

    def slopes(self, R: np.ndarray) -> np.ndarray:
        """Slopes of the loss (p, k), for these residuals (K, m)."""
        found = self.problem.features @ (R * self.problem.weight).T
        return found[:, 1:] if self.problem.binary else found

    def bound(self, theta: np.ndarray) -> float:
        """A bound of all costs from below."""
        R, rows = self.residuals(theta), len(self.kink) - self.problem.bias
        V = self.slopes(R)
        if self.problem.bias and np.max(np.abs(V[-1])) > BALANCED:
            return -math.inf
        loose = np.where(V[:rows] < 0, self.upper[:rows], -self.lower[:rows]) == np.inf
        loose = loose & (self.problem.ridge[:rows] == 0) & (V[:rows] != 0)  # which may cost no more than their kinks
        with np.errstate(divide="ignore"):
            share = float(np.min((self.kink[:rows] / np.abs(V[:rows]))[loose], initial=1.0))
        return max(self._bound(R, V[:rows], t) for t in (1.0, share, share * (1.0 - 1e-12)))

    def _bound(self, R: np.ndarray, V: np.ndarray, t: float) -> float:
        alpha, rows = self.problem.Y + t * R, len(V)
        entropy = -np.sum(np.where(alpha > 0, alpha * np.log(np.where(alpha > 0, alpha, 1.0)), 0.0), axis=0)
        conjugate, ridge = np.zeros_like(V), self.problem.ridge[:rows]
        for side, end in ((-1.0, self.upper[:rows]), (1.0, -self.lower[:rows])):
            pull = np.maximum(side * t * V - self.kink[:rows], 0.0)
            with np.errstate(all="ignore"):
                reach = np.minimum(np.where(ridge > 0, pull / ridge, np.inf), end)
                curved = np.where(ridge > 0, 0.5 * ridge * reach**2, 0.0)
                gained = np.where((pull > 0) & (reach > 0), pull * reach - curved, 0.0)
            conjugate = np.maximum(conjugate, gained)
        return float(entropy @ self.problem.weight - np.sum(conjugate))

    def lowest(self, theta: np.ndarray) -> np.ndarray:
        """Newton's method on the parameters that are not at a kink or a bound, from the model on."""
        cost = self.cost(theta)
        for _ in range(STEPS):
            G = self.slopes(self.residuals(theta)) + self.problem.ridge * theta
            up, down = G + np.where(theta >= 0, self.kink, -self.kink), G + np.where(theta > 0, self.kink, -self.kink)
            fall = np.where((up < 0) & (theta < self.upper), -up, 0.0)
            fall = np.where((down > 0) & (theta > self.lower), down, fall)
            if np.max(fall) <= 1e-16:
                break
            moving = ((theta != 0) & (theta > self.lower) & (theta < self.upper)) | (fall > 0)
            side = np.where(theta != 0, np.sign(theta), np.where(up < 0, 1.0, -1.0))
            step = self._step(theta, np.where(self.kink > 0, G + self.kink * side, G), moving)
            for halving in range(40):
                there = theta + 0.5**halving * step
                there = np.where((there * side < 0) & (self.kink > 0), 0.0, there)
                there = np.clip(there, self.lower, self.upper)
                lower = self.cost(there)
                if lower < cost:
                    break
            else:
                break
            theta, cost = there, lower
        return theta

    def _step(self, theta: np.ndarray, slope: np.ndarray, moving: np.ndarray) -> np.ndarray:
        A, X, k = self.problem.probabilities(theta), self.problem.features, theta.shape[1]
        rows = np.flatnonzero(np.any(moving, axis=1))
        X, inside = X[rows].astype(float), moving[rows].ravel()
        weight, A = self.problem.weight.astype(float), A.astype(float)
        if self.problem.binary:
            H = (X * (weight * np.maximum(A[0] * A[1], 1e-12))) @ X.T
        else:
            C = weight * (A[:, None] * (np.eye(k)[:, :, None] - A[None]))
            H = np.einsum("im,klm,jm->ikjl", X, C, X).reshape(len(rows) * k, -1)
        H = H + np.diag(np.repeat(self.problem.ridge[rows, 0].astype(float), k))
        H = H[np.ix_(inside, inside)]
        size = np.sqrt(np.maximum(H.diagonal(), 1e-300))
        values, vectors = np.linalg.eigh(H / size / size[:, None])
        inverse = np.where(values > 1e-13 * values[-1], 1.0 / np.maximum(values, 1e-300), 0.0)
        right = (slope[rows].ravel()[inside] / size).astype(float)
        step = np.zeros(moving.shape, np.longdouble)
        step[moving] = -(vectors @ (inverse * (vectors.T @ right))) / size
        return step


def kinked_faults(case: Case, model: Any, said: list[Any]) -> tuple[dict[str, str], int]:
    """What is wrong with a fit that has L1, and whether the judge is unsure of its minimum."""
    info, kinked, faults, options = model.fit_info, Kinked.of(case), {}, case.options
    parts = [None if part is None else np.asarray(part) for part in (model.w, model.b, model.center, model.centered_b)]
    if not all(part is None or np.all(np.isfinite(part)) for part in parts):
        return {"nan": f"w {np.ravel(parts[0])[:4]}, b {np.ravel(parts[1])[:4]}, {info.reason}"}, 0
    J, theta = kinked.model_cost(*parts), kinked.theta_of(*parts)
    best = kinked.lowest(theta)
    least, bound = float(kinked.cost(best)), kinked.bound(best)
    scale = max(J, FLOOR * kinked.problem.null_cost)
    about = f"cost said {info.cost:.9g}, the model's {J:.9g}, a lower one {least:.9g}, bound {bound:.9g}; "
    about += f"{info.reason}, converged {info.converged}, gap {info.gap:.3g}"
    rounded = 1e-5 if in_float32(case) else COST
    if not abs(info.cost - J) <= rounded * scale:
        faults["cost"] = about
    if bound > J + rounded * scale:
        faults["judge"] = about
    if info.converged and J - least > max(WRONG, 2 * (options.get("tol") or 0.0)) * scale:
        faults["wrong"] = about
    slack = (1e-5 if in_float32(case) else SURE) * scale
    if J - least > ESTIMATE * info.gap + slack if math.isfinite(info.gap) else info.converged:
        faults["gap"] = about
    reach = 1.0 + 1e-6 * in_float32(case)
    if np.any(parts[0] < reach * options.get("lower", -np.inf)) or np.any(
        parts[0] > reach * options.get("upper", np.inf)
    ):
        faults["bounds"] = f"w from {parts[0].min()} to {parts[0].max()}"
    if not info.converged and not said and not info.gap <= 1e-6 * scale:
        faults["silent"] = about
    return faults, int(least - bound > SURE * scale)
