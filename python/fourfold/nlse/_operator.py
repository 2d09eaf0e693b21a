"""The torch operator of a run, for torch.compile and torch.func. Importing this module registers it."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fourfold.nlse._autograd import reduced
from fourfold.nlse._backward import check_differentiable, default_tolerance, differentiate
from fourfold.nlse._execute import begin
from fourfold.nlse._inputs import check_choice, check_field, check_saved_times
from fourfold.nlse._plan import Plan
from fourfold.nlse.grid import Grid
from fourfold.nlse.methods import get_method
from fourfold.nlse.problem import Problem

__all__ = ["propagate"]

Tensor = torch.Tensor
_OPTIONS = "str method, float? step, float? rtol, float? atol, str? dealias, float? tolerance"
_COEFFICIENTS = "Tensor omega, Tensor nonlinearity, Tensor? potential, Tensor? loss"
_NAMES = ("omega", "nonlinearity", "potential", "loss")


def propagate(
    psi0: Tensor,
    t: Tensor,
    *,
    omega: Tensor,
    nonlinearity: Tensor | float = 1.0,
    potential: Tensor | None = None,
    loss: Tensor | None = None,
    method: str = "rkn4_6b",
    step: float | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    dealias: str | None = None,
    tolerance: float | None = None,
) -> Tensor:
    """The states of a field at the times ``t``, as one operator on tensors.

    What `fourfold.nlse.solve` computes, without its objects: it goes through ``torch.compile`` and
    ``torch.func``. In plain eager code `solve` is the better choice; it knows functions of time, too.
    The operator itself is ``torch.ops.fourfold.nlse_propagate``, which also returns the first step of
    each interval and realisation.

    On a GPU (docs/gpu.md) it knows the splittings: fixed steps for every n, adaptive steps for n a
    power of two from 32 to 8192. ``t`` stays on the CPU, all else is on psi0's device. Work is queued and
    nothing waits for it, so no value is looked at: where a field stops being finite, or adaptive steps
    become too small, there is NaN from then on and no BlowUpError or StepSizeError. Gradients are
    those of fixed steps.

    Parameters
    ----------
    psi0 : complex64 or complex128 tensor (..., n)
        Field at ``t[0]``.
    t : real tensor (T,)
        Times to save, strictly increasing. It has no gradient.
    omega : real tensor (n,)
        The dispersion at the grid's wavenumbers, in the order of the FFT, such as
        ``0.5 * torch.from_numpy(grid.k) ** 2``.
    nonlinearity : float or real tensor of batch shape
    potential, loss : real tensor (..., n), optional
        As in `fourfold.nlse.Problem`.
    method, step, rtol, atol, dealias
        As in `fourfold.nlse.solve`.
    tolerance : float, optional
        Of the states that are had back for gradients, relative in the 2-norm.
        Default: 1e-7 for complex128, 1e-3 for complex64.

    Returns
    -------
    complex tensor (T, ..., n)
        With gradients with respect to psi0, omega, nonlinearity, potential and loss.

    Raises
    ------
    TypeError, ValueError, BlowUpError, StepSizeError
        As `solve`.
    ReconstructionError
        In the backward pass, if a state is missed by more than the tolerance. On a GPU the gradient
        of such a realisation is NaN instead.
    NotImplementedError
        In the backward pass of a method that has no gradients, or of a backward pass. On a GPU for
        what it does not know, or where fourfold was built without CUDA kernels.
    """
    g = nonlinearity
    if not isinstance(g, torch.Tensor):
        g = torch.full((), g, dtype=torch.float64, device=psi0.device)
    op: Any = torch.ops.fourfold.nlse_propagate
    if (
        not torch.compiler.is_compiling()
        and torch._C._functorch.peek_interpreter_stack() is not None
    ):
        op = _Propagate.apply
    psi: Tensor = op(
        psi0, t, omega, g, potential, loss, method, step, rtol, atol, dealias, tolerance
    )[0]
    return psi


@torch.library.custom_op(
    "fourfold::nlse_propagate",
    mutates_args=(),
    device_types="cpu",
    schema=f"(Tensor psi0, Tensor t, {_COEFFICIENTS}, {_OPTIONS}) -> (Tensor psi, Tensor steps)",
)
def _propagate(psi0: Tensor, t: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    plan, field, _ = _plan(psi0, t, *rest)
    first_steps: list[npt.NDArray[np.float64]] = []
    solution = begin(plan, field, None, False, first_steps)
    steps = np.array(first_steps).reshape(len(plan.times) - 1, *plan.batch_shape)
    return solution.psi, torch.from_numpy(steps)


@_propagate.register_kernel("cuda")
def _(*args: Any) -> tuple[Tensor, Tensor]:
    from fourfold.nlse import _cuda_kernel

    return _cuda_kernel.propagate(*args[:-1])


@torch.library.custom_op(
    "fourfold::nlse_propagate_backward",
    mutates_args=(),
    device_types="cpu",
    schema=f"(Tensor gradient, Tensor psi, Tensor steps, Tensor t, {_COEFFICIENTS}, {_OPTIONS}, "
    "bool[] wanted) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _propagate_backward(
    gradient: Tensor, psi: Tensor, steps: Tensor, t: Tensor, *rest: Any
) -> tuple[Tensor, ...]:
    given, wanted = rest[:-1], rest[-1]
    method, coefficients = given[4], given[:4]
    check_differentiable(method)
    keep: dict[str, Any] = {"keep_loss": wanted[4]}
    plan, _, tolerance = _plan(psi[0], t, *given, **keep)
    names = [name for name, needed in zip(_NAMES, wanted[1:], strict=True) if needed]
    cotangent, sums = differentiate(
        plan,
        np.ascontiguousarray(_array(psi)),
        list(_array(steps).reshape(len(plan.times) - 1, plan.count)),
        _array(gradient),
        names,
        tolerance,
    )
    found = [torch.from_numpy(cotangent) if wanted[0] else torch.empty(0)]
    for name, like in zip(_NAMES, coefficients, strict=True):
        if name in names:
            assert like is not None
            found.append(torch.from_numpy(reduced(sums[name], like.shape)).to(like.dtype))
        else:
            found.append(torch.empty(0))
    return tuple(found)


@_propagate_backward.register_kernel("cuda")
def _(gradient: Tensor, psi: Tensor, steps: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    from fourfold.nlse import _cuda_backward

    return _cuda_backward.backward(gradient, psi, *rest)


def _plan(
    psi0: Tensor,
    t: Tensor,
    omega: Tensor,
    nonlinearity: Tensor,
    potential: Tensor | None,
    loss: Tensor | None,
    method: str,
    step: float | None,
    rtol: float | None,
    atol: float | None,
    dealias: str | None,
    tolerance: float | None,
    keep_loss: bool = False,
) -> tuple[Plan, npt.NDArray[Any], float]:
    """The checked arguments: the plan, the first field, the tolerance of reconstructions."""
    from fourfold.nlse.solver import check_batch, check_step_control  # it imports this package

    if omega.ndim != 1:
        raise ValueError(f"omega must have shape (n,), got {tuple(omega.shape)}")
    field, _ = check_field(psi0.detach(), omega.shape[0])
    grid = Grid(omega.shape[0], 2 * np.pi)  # its length counts in omega alone
    problem = Problem(
        grid,
        dispersion=_array(omega),
        nonlinearity=_array(nonlinearity),
        potential=None if potential is None else _array(potential),
        loss=None if loss is None else _array(loss),
    )
    check_batch(problem, field.shape[:-1])
    times = check_saved_times(_array(t))
    chosen = get_method(method)
    if chosen.own_filter:
        raise ValueError(f"method {method!r} is not to be had here; solve has it")
    check_choice("dealias", dealias, (None, "two_thirds", "exponential"))
    fixed, rtol, atol = check_step_control(chosen, step, rtol, atol, field, times)
    dtype = field.dtype.newbyteorder("=")
    plan = Plan(
        problem=problem,
        times=times,
        dtype=dtype,
        batch_shape=field.shape[:-1],
        method=chosen,
        step=fixed,
        rtol=rtol,
        atol=atol,
        dealias=dealias,
        store="fields",
        is_torch=True,
        keep_loss=keep_loss,
    )
    return plan, field, default_tolerance(dtype) if tolerance is None else tolerance


def _array(tensor: Tensor) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = tensor.detach().resolve_conj().resolve_neg().numpy()
    return array


@_propagate.register_fake
def _(psi0: Tensor, t: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    psi = psi0.new_empty((t.shape[0], *psi0.shape))
    return psi, psi0.new_empty((t.shape[0] - 1, *psi0.shape[:-1]), dtype=torch.float64)


@_propagate_backward.register_fake
def _(gradient: Tensor, psi: Tensor, steps: Tensor, t: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    wanted = rest[-1]
    likes = (psi.new_empty(psi.shape[1:]), *rest[:4])
    return tuple(
        torch.empty(like.shape, dtype=like.dtype, device=like.device)
        if needed and like is not None
        else torch.empty(0, device=psi.device)
        for like, needed in zip(likes, wanted, strict=True)
    )


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    _, t, *coefficients = inputs[:6]
    psi, steps = output
    ctx.mark_non_differentiable(steps)
    ctx.save_for_backward(psi, steps, t, *coefficients)
    ctx.options = inputs[6:]


def _backward(ctx: Any, gradient: Tensor, _: Tensor, *, op: Any = None) -> tuple[Any, ...]:
    psi, steps, t, *coefficients = ctx.saved_tensors
    needed = ctx.needs_input_grad
    wanted = [needed[0], *needed[2:6]]
    if gradient is None:
        return (None,) * len(needed)
    op = torch.ops.fourfold.nlse_propagate_backward if op is None else op
    found = op(gradient, psi, steps, t, *coefficients, *ctx.options, wanted)
    kept = [value if want else None for value, want in zip(found, wanted, strict=True)]
    return (kept[0], None, *kept[1:], *(None,) * len(ctx.options))


_propagate.register_autograd(_backward, setup_context=_setup_context)


def _no_second_derivatives(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
    raise NotImplementedError("fourfold.nlse has no second derivatives")


_propagate_backward.register_autograd(_no_second_derivatives)


def _vmap(op: Any, info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Any, Any]:
    psi0, t, omega, *coefficients = args[:6]
    if in_dims[1] is not None or in_dims[2] is not None:
        return _one_by_one(op, info, in_dims, *args)
    size = info.batch_size
    psi0 = psi0.movedim(in_dims[0], 0) if in_dims[0] is not None else psi0.expand(size, *psi0.shape)
    # The new dimension goes in front of all others of the batch.
    ranks = (psi0.ndim - 1, psi0.ndim, psi0.ndim)
    aligned = [
        _in_front(value, dim, rank)
        for value, dim, rank in zip(coefficients, in_dims[3:6], ranks, strict=True)
    ]
    return op(psi0, t, omega, *aligned, *args[6:]), (1, 1)


def _in_front(value: Tensor | None, dim: int | None, rank: int) -> Tensor | None:
    if value is None or dim is None:
        return value
    moved = value.movedim(dim, 0)
    return moved.reshape(moved.shape[0], *(1,) * (rank - moved.ndim), *moved.shape[1:])


def _one_by_one(op: Any, info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Any, Any]:
    """Where the core cannot take the dimension into its batch: one call for each entry."""
    rows = []
    for i in range(info.batch_size):
        own = (
            value.select(dim, i) if isinstance(dim, int) else value
            for value, dim in zip(args, in_dims, strict=True)
        )
        rows.append(op(*own))
    stacked = tuple(torch.stack(column) for column in zip(*rows, strict=True))
    return stacked, (0,) * len(stacked)


_propagate.register_vmap(partial(_vmap, torch.ops.fourfold.nlse_propagate))
_propagate_backward.register_vmap(partial(_one_by_one, torch.ops.fourfold.nlse_propagate_backward))


# torch.func.grad does not see through the autograd of a registered operator, but through these.


class _Propagate(torch.autograd.Function):
    @staticmethod
    def forward(*args: Any) -> Any:
        return torch.ops.fourfold.nlse_propagate(*args)

    setup_context = staticmethod(_setup_context)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return _backward(ctx, *gradients, op=_PropagateBackward.apply)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> Any:
        return _vmap(_Propagate.apply, info, in_dims, *args)


class _PropagateBackward(torch.autograd.Function):
    @staticmethod
    def forward(*args: Any) -> Any:
        return torch.ops.fourfold.nlse_propagate_backward(*args)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Nothing to keep."""

    backward = staticmethod(_no_second_derivatives)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> Any:
        return _one_by_one(_PropagateBackward.apply, info, in_dims, *args)
