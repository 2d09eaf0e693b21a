"""Ensembles on a GPU against those of the CPU, on fresh random numbers."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
import torch
from torch.library import opcheck

from fourfold import nlse
from fourfold._gpu import has_cuda_kernels, no_cuda_kernels

pytestmark = pytest.mark.gpu

Tensor = torch.Tensor
DTYPES = [torch.complex128, torch.complex64]
SCHEMES = ["strang", "yoshida4", "rkn4_6b", "rkn6_11b", "rkn6_14a"]


@pytest.fixture(autouse=True)
def _a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    if not has_cuda_kernels():
        pytest.skip(no_cuda_kernels())
    nlse.propagate  # noqa: B018 (registers the operator)
    seed = secrets.randbits(48)
    print("seed", seed)
    torch.manual_seed(seed)


def fits(n: int, dtype: torch.dtype) -> bool:
    """Whether a block of this GPU has the shared memory."""
    from fourfold._gpu import cuda_kernels

    device = torch.cuda.current_device()
    most: int = cuda_kernels().nlse.shared_memory_of_block(device)
    return n * dtype.itemsize <= most


def omega_of(n: int, length: float = 20.0) -> Tensor:
    return 0.5 * torch.from_numpy(nlse.Grid(n, length).k.copy()) ** 2


def field(*shape: int, dtype: torch.dtype = torch.complex128) -> Tensor:
    """Smooth, so that its phases do not turn much in a step."""
    n = shape[-1]
    decay = torch.exp(-0.1 * torch.fft.fftfreq(n, 1 / n, dtype=torch.float64) ** 2 / 16)
    psi: Tensor = torch.fft.ifft(torch.randn(shape, dtype=torch.complex128) * decay * n**0.5)
    return psi.to(dtype)


def real(*shape: int) -> Tensor:
    return 0.3 * torch.randn(shape, dtype=torch.float64)


def poison_the_allocator() -> None:
    """Memory that the next outputs get is full of NaN."""
    blocks = [
        torch.full((n,), torch.nan, device="cuda") for n in (1 << 10, 1 << 16, 1 << 21, 1 << 23)
    ]
    del blocks


def on_gpu(value: Any) -> Any:
    return value.cuda() if isinstance(value, torch.Tensor) else value


def compare(psi0: Tensor, t: Tensor, allowed: float, **given: Any) -> None:
    """CPU against GPU, twice."""
    expected = nlse.propagate(psi0, t, **given)
    there = {name: on_gpu(value) for name, value in given.items()}
    poison_the_allocator()
    found = nlse.propagate(psi0.cuda(), t, **there)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    off = torch.linalg.vector_norm(found.cpu() - expected, dim=-1)
    size = torch.linalg.vector_norm(expected, dim=-1)
    assert bool((off <= allowed * size).all()), (off / size).max()
    poison_the_allocator()
    assert torch.equal(nlse.propagate(psi0.cuda(), t, **there), found)


MEDIA: dict[str, Any] = {
    "plain": lambda b, n: {},
    "shared": lambda b, n: {"nonlinearity": -0.5, "potential": real(n), "loss": real(n)},
    "own": lambda b, n: {
        "nonlinearity": real(b),
        "potential": real(b, n),
        "loss": real(b, n),
        "dealias": "exponential",
    },
}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("medium", list(MEDIA))
@pytest.mark.parametrize("n", [1 << k for k in range(5, 15)])
def test_lengths(n: int, medium: str, dtype: torch.dtype) -> None:
    batch = int(torch.randint(1, 70, ()))
    t = torch.tensor([0.0, 0.03, 0.06, 0.071], dtype=torch.float64)
    eps = torch.finfo(dtype).eps
    options: dict[str, Any] = {"method": "rkn4_6b", "step": 0.01, "omega": omega_of(n)}
    compare(field(batch, n, dtype=dtype), t, 500 * eps, **options, **MEDIA[medium](batch, n))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_thousand_steps(scheme: str, dtype: torch.dtype) -> None:
    t = torch.tensor([0.0, 1.0], dtype=torch.float64)
    allowed = 1e-12 if dtype == torch.complex128 else 1e-3
    grid = nlse.Grid(1024, 50.0)
    waves = torch.stack(
        [torch.from_numpy(nlse.soliton(grid, amplitude=a)) for a in (0.5, 1.0, 1.5)]
    )
    omega = 0.5 * torch.from_numpy(grid.k.copy()) ** 2
    compare(waves.to(dtype), t, allowed, omega=omega, method=scheme, step=0.001)


def test_what_is_not_finite_stays_its_own() -> None:
    psi0 = field(7, 64)
    t = torch.tensor([0.0, 0.1], dtype=torch.float64)
    psi0[3, 5] = torch.inf
    given: dict[str, Any] = {"omega": omega_of(64).cuda(), "step": 0.05}
    found = nlse.propagate(psi0.cuda(), t, **given)[1]
    assert bool(found[3].real.isnan().all())
    rest = [0, 1, 2, 4, 5, 6]
    assert torch.equal(found[rest], nlse.propagate(psi0[rest].cuda(), t, **given)[1])


def test_layouts() -> None:
    psi0 = field(2, 3, 64).cuda()
    t = torch.tensor([0.0, 0.1], dtype=torch.float64)
    given: dict[str, Any] = {"omega": omega_of(64).cuda(), "step": 0.05}
    expected = nlse.propagate(psi0, t, **given)
    turned = psi0.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    assert torch.equal(nlse.propagate(turned, t, **given), expected)
    assert torch.equal(nlse.propagate(psi0.conj().resolve_conj().conj(), t, **given), expected)
    found = torch.func.vmap(lambda p: nlse.propagate(p, t, **given))(psi0)
    assert torch.equal(found.movedim(1, 0), expected)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_opcheck_and_compile(dtype: torch.dtype) -> None:
    psi0 = field(3, 64, dtype=dtype).cuda()
    t = torch.tensor([0.0, 0.1, 0.15], dtype=torch.float64)
    omega, g = omega_of(64).cuda(), torch.tensor(1.0).cuda()
    args = (psi0, t, omega, g, None, None, "rkn4_6b", 0.05, None, None, None, None)
    opcheck(torch.ops.fourfold.nlse_propagate, args)

    def density(p: Tensor) -> Tensor:
        return nlse.propagate(p, t, omega=omega, step=0.05).abs()

    compiled = torch.compile(density, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(psi0), density(psi0))


def test_another_stream() -> None:
    psi0, t = field(40, 1024).cuda(), torch.tensor([0.0, 0.5], dtype=torch.float64)
    given: dict[str, Any] = {"omega": omega_of(1024).cuda(), "step": 0.01}
    expected = nlse.propagate(psi0, t, **given)
    late = torch.empty_like(psi0)
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.cuda.stream(stream):
        torch.cuda._sleep(20_000_000)  # type: ignore[no-untyped-call]
        late.copy_(psi0)
        found = nlse.propagate(late, t, **given)
    torch.cuda.current_stream().wait_stream(stream)
    assert torch.equal(found, expected)


def test_other_devices() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("one CUDA device")
    psi0, t = field(5, 256), torch.tensor([0.0, 0.5], dtype=torch.float64)
    before = torch.cuda.current_device()
    found = nlse.propagate(psi0.to("cuda:1"), t, omega=omega_of(256).to("cuda:1"), step=0.01)
    assert found.device.index == 1
    assert torch.cuda.current_device() == before
    expected = nlse.propagate(psi0, t, omega=omega_of(256), step=0.01)
    assert torch.allclose(found.cpu(), expected, atol=1e-12)


def test_graph_capture() -> None:
    psi0, t = field(5, 256).cuda(), torch.tensor([0.0, 0.1, 0.15], dtype=torch.float64)
    given: dict[str, Any] = {
        "omega": omega_of(256).cuda(),
        "step": 0.01,
        "potential": real(256).cuda(),
    }
    nlse.propagate(psi0, t, **given)  # loads the kernels and the tables of the grid
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = nlse.propagate(psi0, t, **given)
    psi0.copy_(field(5, 256))
    graph.replay()
    assert torch.equal(out, nlse.propagate(psi0, t, **given))


# Through torch's transforms: lengths that no block takes, and single fields.
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("medium", list(MEDIA))
@pytest.mark.parametrize("n", [2, 3, 16, 30, 250, 1000, 1 << 15, 1 << 18])
def test_other_lengths(n: int, medium: str, dtype: torch.dtype) -> None:
    batch = int(torch.randint(1, 9, ()))
    t = torch.tensor([0.0, 0.03, 0.06, 0.071], dtype=torch.float64)
    eps = torch.finfo(dtype).eps
    omega = omega_of(n).clamp(max=3000.0)
    for method in ("strang", "rkn4_6b"):
        options: dict[str, Any] = {"method": method, "step": 0.01, "omega": omega}
        compare(field(batch, n, dtype=dtype), t, 500 * eps, **options, **MEDIA[medium](batch, n))


def test_many_rows() -> None:
    t = torch.tensor([0.0, 0.02], dtype=torch.float64)
    given: dict[str, Any] = {"omega": omega_of(6), "step": 0.01, "nonlinearity": real(70_001)}
    compare(field(70_001, 6), t, 1e-13, **given)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_thousand_steps_of_another_length(scheme: str) -> None:
    t = torch.tensor([0.0, 1.0], dtype=torch.float64)
    grid = nlse.Grid(1000, 50.0)
    psi0 = torch.from_numpy(nlse.soliton(grid, amplitude=1.2))
    omega = 0.5 * torch.from_numpy(grid.k.copy()) ** 2
    compare(psi0, t, 1e-12, omega=omega, method=scheme, step=0.001)


@pytest.mark.parametrize("blocks", [True, False])
def test_both_ways_agree(blocks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from fourfold.nlse import _cuda_blocks

    monkeypatch.setattr(_cuda_blocks, "blocks_pay", lambda *_, **__: blocks)
    t = torch.tensor([0.0, 0.1], dtype=torch.float64)
    for n in (32, 256, 2048):
        compare(field(3, n), t, 1e-12, omega=omega_of(n), step=0.01, **MEDIA["own"](3, n))


# In blocks, each realisation with its own steps.
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("medium", list(MEDIA))
@pytest.mark.parametrize("n", [1 << k for k in range(5, 14)])
def test_adaptive_steps(n: int, medium: str, dtype: torch.dtype) -> None:
    if not fits(n + 2048, dtype):
        pytest.skip("more shared memory than a block of this GPU has")
    batch = int(torch.randint(1, 70, ())) if n < 1024 else 3
    psi0 = field(batch, n, dtype=dtype) * (0.2 + torch.rand(batch, 1))
    t = torch.tensor([0.0, 0.1, 0.2, 0.35], dtype=torch.float64)
    single = dtype == torch.complex64
    given = MEDIA[medium](batch, n) | {"dealias": None, "omega": omega_of(n).clamp(max=40.0)}
    tolerances: dict[str, Any] = {
        "rtol": 1e-3 if single else 1e-7,
        "atol": 1e-6 if single else 1e-10,
    }
    for method in ("strang", "rkn6_14a"):
        # In single precision rounding may turn a decision, and the tolerances allow the rest.
        compare(psi0, t, 0.05 if single else 1e-9, method=method, **tolerances, **given)


def test_adaptive_steps_are_returned() -> None:
    psi0, t = field(2, 5, 128), torch.tensor([0.0, 0.1, 0.2, 0.35], dtype=torch.float64)
    psi0 = psi0 * torch.linspace(0.2, 2.0, 5)[:, None]
    rest: tuple[Any, ...] = (omega_of(128), torch.tensor(1.0), None, None)
    options = ("rkn4_6b", None, 1e-7, 1e-10, None, None)
    expected = torch.ops.fourfold.nlse_propagate(psi0, t, *rest, *options)[1]
    there = [on_gpu(value) for value in rest]
    found = torch.ops.fourfold.nlse_propagate(psi0.cuda(), t, *there, *options)[1]
    assert bool((expected[1:] > 0).all())
    assert torch.allclose(found.cpu(), expected, rtol=1e-4)


def test_adaptive_steps_in_a_graph() -> None:
    psi0, t = field(5, 256).cuda(), torch.tensor([0.0, 0.1, 0.15], dtype=torch.float64)
    given: dict[str, Any] = {"omega": omega_of(256).cuda(), "method": "rkn6_14a"}
    nlse.propagate(psi0, t, **given)  # loads the kernels and the tables of the grid
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = nlse.propagate(psi0, t, **given)
    psi0.copy_(field(5, 256))
    graph.replay()
    assert torch.equal(out, nlse.propagate(psi0, t, **given))


def test_other_lengths_in_a_graph_and_on_another_stream() -> None:
    psi0, t = field(5, 250).cuda(), torch.tensor([0.0, 0.1, 0.15], dtype=torch.float64)
    given: dict[str, Any] = {"omega": omega_of(250).cuda(), "step": 0.01}
    nlse.propagate(psi0, t, **given)  # loads the kernels and makes torch's plans
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = nlse.propagate(psi0, t, **given)
    psi0.copy_(field(5, 250))
    graph.replay()
    assert torch.equal(out, nlse.propagate(psi0, t, **given))
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    late = torch.empty_like(psi0)
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(20_000_000)  # type: ignore[no-untyped-call]
        late.copy_(psi0)
        found = nlse.propagate(late, t, **given)
    torch.cuda.current_stream().wait_stream(stream)
    assert torch.equal(found, out)


def test_adaptive_failures_stay_their_own() -> None:
    psi0 = field(7, 64)
    t = torch.tensor([0.0, 0.1, 0.2], dtype=torch.float64)
    psi0[3, 5] = torch.inf
    given: dict[str, Any] = {"omega": omega_of(64).cuda()}
    found = nlse.propagate(psi0.cuda(), t, **given)[1:]
    assert bool(found[:, 3].real.isnan().all())
    rest = [0, 1, 2, 4, 5, 6]
    assert torch.equal(found[:, rest], nlse.propagate(psi0[rest].cuda(), t, **given)[1:])


@pytest.mark.parametrize("step", [0.05, None])
def test_opcheck_of_the_other_ways(step: float | None) -> None:
    n = 48 if step else 64
    psi0 = field(3, n).cuda()
    t = torch.tensor([0.0, 0.1, 0.15], dtype=torch.float64)
    args = (psi0, t, omega_of(n).cuda(), torch.tensor(1.0).cuda(), None, None, "rkn4_6b", step)
    opcheck(torch.ops.fourfold.nlse_propagate, (*args, None, None, None, None))


@pytest.mark.parametrize(("n", "step"), [(48, 0.05), (64, None)])
def test_no_gradients_of_the_other_ways(n: int, step: float | None) -> None:
    psi0, t = field(2, n).cuda().requires_grad_(), torch.tensor([0.0, 0.1], dtype=torch.float64)
    out = nlse.propagate(psi0, t, omega=omega_of(n).cuda(), step=step)
    with pytest.raises(NotImplementedError):
        out.abs().sum().backward()  # type: ignore[no-untyped-call]
