"""Types of `fourfold._core.nlse` (csrc/bindings/nlse.cpp, nlse_analysis.cpp).

Addresses are integers; 0 means none.
"""

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
    def advance(self, psi: int, t0: float, t1: float, threads: int) -> tuple[int, int, float]: ...
    def counters(self) -> tuple[int, int, int, float]: ...

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
