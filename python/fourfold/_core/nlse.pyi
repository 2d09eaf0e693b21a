"""Types of `fourfold._core.nlse` (csrc/bindings/nlse.cpp, nlse_analysis.cpp).

Addresses are integers; 0 means none.
"""

from collections.abc import Callable

class _Integrator:
    def __init__(
        self,
        *,
        n: int,
        batch: int,
        method: str,
        order: int,
        step: float,
        rtol: float,
        atol: float,
        t_start: float,
        t_end: float,
        omega: int,
        filter: int,
        nonlinearity: int,
        shared_nonlinearity: bool,
        potential: int,
        shared_potential: bool,
        loss: int,
        shared_loss: bool,
    ) -> None: ...
    def vary(
        self,
        *,
        part: str,
        terms: int,
        rows: int = 0,
        shared: bool,
        pieces: int = 0,
        knots: int = 0,
        coefficients: int = 0,
        function: Callable[[float], object] | None = None,
    ) -> None: ...
    def advance(self, psi: int, t0: float, t1: float, threads: int) -> tuple[int, int, float]: ...
    def duration(self, t0: float, t1: float) -> float: ...
    def backward(
        self,
        *,
        psi_start: int,
        psi_end: int,
        cotangent: int,
        t0: float,
        duration: float,
        first_steps: int,
        reversible: bool,
        tolerance: float,
        sums: dict[str, int],
        threads: int,
    ) -> tuple[int, int, float, float]: ...
    def counters(self) -> tuple[int, int, int, float]: ...
    def control(self, next_steps: int) -> float: ...
    def restore_control(self, duration: float, next_steps: int) -> None: ...

class IntegratorComplex64(_Integrator): ...
class IntegratorComplex128(_Integrator): ...

def fft_complex64(input: int, output: int, n: int, batch: int, inverse: bool) -> None: ...
def fft_complex128(input: int, output: int, n: int, batch: int, inverse: bool) -> None: ...
def ordinal_counts(
    series: int, batch: int, n: int, order: int, delay: int, counts: int, threads: int
) -> int: ...
def matching_pairs(
    series: int, batch: int, n: int, m: int, tolerances: int, pairs: int, threads: int
) -> None: ...
