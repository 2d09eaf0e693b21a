"""What Python hands to the CUDA kernels of rational functions, seen by a stand-in for `_cuda`."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from fourfold import _core, kan
from fourfold.kan import _kernel
from tests.kan.stand_in import DEVICE, STREAM, pretend_a_stream, there

Tensor = torch.Tensor


class Recorder:
    """`_cuda.kan.Rational`."""

    calls: list[str]

    def __init__(self, **shape: Any) -> None:
        self.twin = _core.kan.Rational(**shape)

    def workspace(self, device: int) -> int:
        assert device == DEVICE
        return 64

    def forward(self, *addresses: int) -> None:
        *given, device, stream = addresses
        assert (device, stream) == (DEVICE, STREAM)
        Recorder.calls.append("forward")
        self.twin.forward(*given, 1)  # type: ignore[call-arg]

    def backward(self, *addresses: int) -> None:
        *given, workspace, device, stream = addresses
        assert (device, stream) == (DEVICE, STREAM)
        assert workspace != 0
        Recorder.calls.append("backward")
        self.twin.backward(*given, 1)  # type: ignore[call-arg]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Recorder]]:
    Recorder.calls = []
    fake = SimpleNamespace(kan=SimpleNamespace(Rational=Recorder))
    monkeypatch.setattr(_kernel, "has_cuda_kernels", lambda: True)
    monkeypatch.setattr(_kernel, "cuda_kernels", lambda: fake)
    pretend_a_stream(monkeypatch)
    monkeypatch.setattr(
        _kernel, "_scratch", lambda size, like: torch.empty(size, dtype=torch.uint8)
    )
    yield Recorder
    _kernel._plans.clear()


LAYOUTS = {
    "plain": lambda x: x,
    "transposed": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "channels first": lambda x: x.movedim(-1, 1).contiguous().movedim(1, -1),
}


@pytest.mark.parametrize("layout", list(LAYOUTS))
@pytest.mark.parametrize("of_model", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("of_x", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("variant", ["A", "C"])
def test_same_answer_as_on_the_cpu(
    stand_in: type[Recorder], variant: str, of_x: torch.dtype, of_model: torch.dtype, layout: str
) -> None:
    torch.manual_seed(0)
    x, g = (LAYOUTS[layout](torch.randn(6, 5, 24)).to(of_x) for _ in range(2))
    a, b = torch.randn(1, 6).to(of_model), torch.rand(4, 4 + (variant == "C")).to(of_model)
    expected = _kernel.forward(x, a, b, variant, -1)
    out = _kernel.forward(there(x), there(a), there(b), variant, -1)
    assert torch.equal(out.as_subclass(Tensor), expected)
    assert out.stride() == expected.stride()
    slopes = _kernel.backward(g, x, a, b, variant, -1)
    got = _kernel.backward(there(g), there(x), there(a), there(b), variant, -1)
    for part, whole in zip(got, slopes, strict=True):
        assert part.dtype == whole.dtype
        assert torch.equal(part.as_subclass(Tensor), whole)
    assert stand_in.calls == ["forward", "backward"]


def test_without_the_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_kernel, "has_cuda_kernels", lambda: False)
    with torch._subclasses.fake_tensor.FakeTensorMode():
        x, a, b = (torch.empty(n, device="cuda") for n in ((3, 8), (1, 6), (4, 4)))
        with pytest.raises(
            NotImplementedError,
            match=r"no kernel for tensors on cuda:0, only for the CPU: .* has no CUDA kernels \(",
        ):
            kan.rational(x, a, b)
