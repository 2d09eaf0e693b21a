"""The objective of GP-HM (Fang et al. 2024) with its gradient, for any number of axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fourfold.gp.pde._hm_axis import Axis, Mixture, kernel_at, parameters
from fourfold.gp.pde.conditions import Condition
from fourfold.gp.pde.problem import Order, Problem

__all__ = ["Objective", "State"]

Array = npt.NDArray[np.float64]


@dataclass
class State:
    """The unknowns: u on the grid, the logarithms of both precisions, and the parameters of each axis' kernel."""

    u: Array
    log_tau: float
    log_v: float
    parameters: list[Array]

    def packed(self) -> Array:
        """All in one vector, in this order."""
        return np.concatenate([self.u.reshape(-1), [self.log_tau, self.log_v], *self.parameters])

    def like(self, vector: Array) -> State:
        """The state of a vector that `packed` made."""
        at = self.u.size
        u = vector[:at].reshape(self.u.shape)
        sizes = np.cumsum([p.size for p in self.parameters])[:-1]
        return State(u, float(vector[at]), float(vector[at + 1]), np.split(vector[at + 2 :], sizes))


class Objective:
    r"""What GP-HM maximises, with the opposite sign.

    ``1/2 vec(u)' C^-1 vec(u) + 1/2 log|C| + lambda (tau/2 |B u - g|^2 - N_b/2 log tau) + v/2 |P u - f|^2 - N/2 log v``

    with ``C = K_1 (x) ... (x) K_d`` on the N points of the grid, each K with ``jitter`` on its diagonal, and
    derivatives of u by ``K_r K^-1`` along their axes. B are the values on all faces with a condition (an edge
    where two of them meet counts twice), N_b their number.
    """

    def __init__(
        self, problem: Problem, kernels: Sequence[Mixture], boundary_weight: float, jitter: float
    ) -> None:
        self.problem, self.kernels = problem, list(kernels)
        self.boundary_weight, self.jitter = boundary_weight, jitter
        mesh = problem.mesh
        self.coefficients = problem.coefficients(*mesh)
        self.source = problem.source_at(*mesh)
        self.conditions: list[Condition] = [
            c for c in problem.conditions if isinstance(c, Condition)
        ]
        self.values = [problem.condition_at(c).reshape(self._face(c)) for c in self.conditions]
        self.boundary_count = sum(v.size for v in self.values)
        term = problem.nonlinear
        self._orders: list[Order] = sorted({*self.coefficients, *(term.orders if term else [])})

    def start(self) -> State:
        """u = 0, both precisions 1, the kernels as given."""
        return State(np.zeros(self.problem.shape), 0.0, 0.0, [parameters(k) for k in self.kernels])

    def axes(self, state: State) -> list[Axis]:
        """The covariances at the parameters of a state."""
        found = []
        for a, (kernel, values) in enumerate(zip(self.kernels, state.parameters, strict=True)):
            orders = {order[a] for order in self._orders}
            orders |= {c.order for c in self.conditions if c.axis == a}
            made = kernel_at(kernel, values)
            found.append(Axis(made, self.problem.axes[a], sorted(orders), self.jitter))
        return found

    def value_and_gradient(self, state: State) -> tuple[float, Array]:
        """The objective and its gradient, ordered as `State.packed`."""
        axes, u = self.axes(state), state.u
        dimension, total = u.ndim, u.size
        tau, v = np.exp(state.log_tau), np.exp(state.log_v)
        gradient = np.zeros_like(u)

        whitened = u
        for a in range(dimension):
            whitened = axes[a].solve(whitened, a)
        value = 0.5 * float(np.vdot(u, whitened))
        gradient += whitened
        for a, axis in enumerate(axes):
            share = total / axis.size
            value += 0.5 * share * axis.logdet
            axis.collect_logdet(0.5 * share)
            # (K_a^-1 along its axis alone) u, by which K_a^-1 meets the others only once.
            axis.collect(0, -0.5 * whitened, axis.solve(u, a), a)

        misfit, by_boundary = 0.0, self.boundary_weight * tau
        for c, given in zip(self.conditions, self.values, strict=True):
            at = 0 if c.x == self.problem.box[c.axis][0] else -1
            part = self._derivative(axes, u, _along(c.order, c.axis, dimension))
            missing = np.take(part, at, axis=c.axis) - given
            misfit += float(np.vdot(missing, missing))
            back = np.zeros_like(u)
            np.moveaxis(back, c.axis, 0)[at] = by_boundary * missing
            gradient += self._pulled(axes, u, _along(c.order, c.axis, dimension), back)
        value += self.boundary_weight * 0.5 * (tau * misfit - self.boundary_count * state.log_tau)
        by_tau = self.boundary_weight * 0.5 * (tau * misfit - self.boundary_count)

        missing, slopes = self.linearised(axes, u)
        squares = float(np.vdot(missing, missing))
        value += 0.5 * (v * squares - total * state.log_v)
        by_v = 0.5 * (v * squares - total)
        for order, slope in slopes.items():
            gradient += self._pulled(axes, u, order, v * slope * missing)

        by_kernels = [axis.gradient() for axis in axes]
        return value, np.concatenate([gradient.reshape(-1), [by_tau, by_v], *by_kernels])

    def misfits(self, state: State) -> tuple[float, float]:
        """Root mean squares of ``P u - f`` and of ``B u - g``."""
        axes, u = self.axes(state), state.u
        missing, _ = self.linearised(axes, u)
        squares = 0.0
        for c, given in zip(self.conditions, self.values, strict=True):
            at = 0 if c.x == self.problem.box[c.axis][0] else -1
            part = self._derivative(axes, u, _along(c.order, c.axis, u.ndim))
            squares += float(np.sum((np.take(part, at, axis=c.axis) - given) ** 2))
        boundary = float(np.sqrt(squares / max(self.boundary_count, 1)))
        return float(np.sqrt(np.mean(missing**2))), boundary

    def linearised(self, axes: list[Axis], u: Array) -> tuple[Array, dict[Order, Array]]:
        """``P u - f`` on the grid, and its slope by each derivative of u."""
        parts = {order: self._derivative(axes, u, order) for order in self._orders}
        slopes = dict(self.coefficients)
        missing = -self.source
        for order, c in self.coefficients.items():
            missing = missing + c * parts[order]
        term = self.problem.nonlinear
        if term is not None:
            taken = [parts[order] for order in term.orders]
            missing = missing + term.value(taken)
            for order, slope in zip(term.orders, term.slope(taken), strict=True):
                slopes[order] = slopes.get(order, np.zeros(())) + slope
        return missing, slopes

    def _derivative(self, axes: list[Axis], u: Array, order: Order) -> Array:
        """``K_r K^-1`` along every axis that is differentiated."""
        for a, r in enumerate(order):
            if r:
                u = axes[a].apply(r, axes[a].solve(u, a), a)
        return u

    def _pulled(self, axes: list[Axis], u: Array, order: Order, cotangent: Array) -> Array:
        """The cotangent of u from that of `_derivative`; those of the matrices are collected."""
        inputs = []
        for a, r in enumerate(order):
            inputs.append(u)
            if r:
                u = axes[a].apply(r, axes[a].solve(u, a), a)
        for a in range(len(order) - 1, -1, -1):
            if r := order[a]:
                solved = axes[a].solve(inputs[a], a)
                axes[a].collect(r, cotangent, solved, a)
                cotangent = axes[a].solve(axes[a].transposed(r, cotangent, a), a)
                axes[a].collect(0, -cotangent, solved, a)
        return cotangent

    def _face(self, condition: Condition) -> tuple[int, ...]:
        shape = self.problem.shape
        return shape[: condition.axis] + shape[condition.axis + 1 :]


def _along(order: int, axis: int, dimension: int) -> Order:
    return tuple(order if a == axis else 0 for a in range(dimension))
