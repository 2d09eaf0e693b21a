"""What Python hands to the CUDA kernels of the bases, seen by a stand-in for `_cuda`."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fourfold import _core
from fourfold.kan import _basis_kernel as kernel
from fourfold.kan import bases
from tests.kan.stand_in import DEVICE, STREAM, pretend_a_stream, there

Tensor = torch.Tensor
ROOM = 77  # numbers of workspace, as the stand-in wants them


class Recorder:
    """`_cuda.kan`."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**given: Any) -> int | None:
            self.calls.append(name.rsplit("_", 1)[0])
            assert given.pop("device") == DEVICE
            if "workspace" in name:
                assert sorted(given) == ["features", "function", "functions", "rows"]
                return ROOM
            assert given.pop("stream") == STREAM
            if "basis_contract" in name:
                assert (given.pop("workspace") != 0) == (given["dcentre"] != 0)
            getattr(_core.kan, name)(**given, threads=1)
            return None

        return call


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(kernel, "has_cuda_kernels", lambda: True)
    monkeypatch.setattr(kernel, "cuda_kernels", lambda: SimpleNamespace(kan=recorder))
    pretend_a_stream(monkeypatch)
    return recorder


def same(got: Any, expected: Any) -> None:
    pairs = zip(got, expected, strict=True) if isinstance(got, tuple) else [(got, expected)]
    for part, whole in pairs:
        assert part.dtype == whole.dtype
        torch.testing.assert_close(part.as_subclass(Tensor), whole)


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "plain": lambda x: x,
    "transposed": lambda x: x.movedim(0, -1).contiguous().movedim(-1, 0),
    "negated": lambda x: torch._neg_view(-x),
}


@pytest.mark.parametrize("layout", list(LAYOUTS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("function", ["gaussian", "cubic1 of gelu", "fourier"])
def test_functions(stand_in: Recorder, function: str, dtype: torch.dtype, layout: str) -> None:
    torch.manual_seed(0)
    place = LAYOUTS[layout]
    x, g = place(torch.randn(4, 3, 5, dtype=dtype)), place(torch.randn(4, 3, 6, 5, dtype=dtype))
    shape = (0,) if function in kernel.SERIES else (6, 5)
    c, s = (place(torch.randn(shape, dtype=dtype)) for _ in range(2))
    given, moved = (x, c, s), (there(x), there(c), there(s))
    same(kernel.basis(*moved, function, 6), kernel.basis(*given, function, 6))
    for wanted in (False, function not in kernel.SERIES):
        same(
            kernel.basis_backward(there(g), *moved, function, wanted),
            kernel.basis_backward(g, *given, function, wanted),
        )
    asked = ["basis_workspace"] if function not in kernel.SERIES else []
    assert stand_in.calls == ["basis", "basis_contract", *asked, "basis_contract"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("adapted", [False, True])
def test_splines(stand_in: Recorder, adapted: bool, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    knots = torch.rand(12, 5 if adapted else 1, dtype=torch.float64).cumsum(dim=0) - 3
    basis = bases.BSpline(5, knots=knots).to(dtype)
    tables = basis._working_knots, basis._table
    x, w = torch.randn(4, 3, 5, dtype=dtype), torch.randn(basis.functions, 5, 7, dtype=dtype)
    g, gy = torch.randn(4, 3, basis.functions, 5, dtype=dtype), torch.randn(4, 3, 7, dtype=dtype)
    there_tables = there(tables[0]), there(tables[1])
    for order in (0, 2):
        same(kernel.spline(there(x), *there_tables, order), kernel.spline(x, *tables, order))
        same(
            kernel.spline_backward(there(g), there(x), *there_tables, order),
            kernel.spline_backward(g, x, *tables, order),
        )
    stand_in.calls.clear()
    moved = there(x), there(w), *there_tables
    same(kernel.spline_linear(*moved), kernel.spline_linear(x, w, *tables))
    assert stand_in.calls == ["spline"]
    for wants_x in (False, True):
        same(
            kernel.spline_linear_backward(there(gy), *moved, wants_x),
            kernel.spline_linear_backward(gy, x, w, *tables, wants_x),
        )
    assert stand_in.calls == ["spline", "spline", "spline", "spline_contract"]


def test_empty(stand_in: Recorder) -> None:
    x, c = torch.empty(0, 5), torch.ones(6, 5)
    assert kernel.basis(there(x), there(c), there(c), "bump", 6).shape == (0, 6, 5)
    g = there(torch.empty(0, 6, 5))
    dx, dc, ds = kernel.basis_backward(g, there(x), there(c), there(c), "bump", True)
    assert dx.shape == (0, 5)
    assert not dc.any()
    assert not ds.any()
    assert stand_in.calls == []


def test_tensors_apart(stand_in: Recorder) -> None:
    x, c = torch.ones(2, 5), torch.ones(6, 5)
    with pytest.raises(
        ValueError, match=r"centre: expected on Device\(.*\) like x, got one on cpu"
    ):
        kernel.basis(there(x), c, there(c), "bump", 6)


def test_without_the_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "has_cuda_kernels", lambda: False)
    x, c = there(torch.ones(2, 5)), torch.ones(6, 5)
    with pytest.raises(
        NotImplementedError, match=r"x: the bases have no kernel for tensors on .*cuda.*has no CUDA"
    ):
        kernel.basis(x, c, c, "bump", 6)
