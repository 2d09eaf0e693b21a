# The extension module of the CUDA kernels, which an installation may lack. Addresses are of device memory; `stream` is
# a cudaStream_t. Work is queued, and nothing waits for it.
__version__: str
architectures: str

def devices() -> tuple[int, str]:
    """How many devices there are; if none, why in CUDA's words."""

class _Rational:
    def __init__(
        self,
        *,
        rows: int,
        groups: int,
        run: int,
        m: int,
        n: int,
        shared_numerator: bool,
        shared_denominator: bool,
        variant: int,
        storage: int,
    ) -> None: ...
    def workspace(self, device: int) -> int: ...
    def forward(
        self, x: int, numerator: int, denominator: int, out: int, device: int, stream: int
    ) -> None: ...
    def backward(
        self,
        gradient: int,
        x: int,
        numerator: int,
        denominator: int,
        x_gradient: int,
        numerator_gradient: int,
        denominator_gradient: int,
        workspace: int,
        device: int,
        stream: int,
    ) -> None: ...

class _Kan:
    Rational: type[_Rational]

    # Each also ends in _float64.
    def basis_float32(
        self,
        *,
        function: int,
        features: int,
        functions: int,
        centre: int,
        scale: int,
        x: int,
        out: int,
        rows: int,
        device: int,
        stream: int,
    ) -> None: ...
    def basis_workspace_float32(
        self, *, function: int, features: int, functions: int, rows: int, device: int
    ) -> int: ...
    def basis_contract_float32(
        self,
        *,
        function: int,
        features: int,
        functions: int,
        centre: int,
        scale: int,
        grad: int,
        x: int,
        dx: int,
        dcentre: int,
        dscale: int,
        rows: int,
        workspace: int,
        device: int,
        stream: int,
    ) -> None: ...
    def spline_float32(
        self,
        *,
        features: int,
        degree: int,
        intervals: int,
        shared: bool,
        knots: int,
        table: int,
        derivative: int,
        x: int,
        out: int,
        rows: int,
        device: int,
        stream: int,
    ) -> None: ...
    def spline_contract_float32(
        self,
        *,
        features: int,
        degree: int,
        intervals: int,
        shared: bool,
        knots: int,
        table: int,
        derivative: int,
        grad: int,
        x: int,
        dx: int,
        rows: int,
        device: int,
        stream: int,
    ) -> None: ...

kan: _Kan

class _Ensemble:
    def __init__(
        self,
        *,
        n: int,
        batch: int,
        method: str,
        single: bool,
        shared_nonlinearity: bool,
        shared_potential: bool,
        shared_loss: bool,
        lossy: bool,
    ) -> None: ...
    def shared_memory(self) -> int: ...
    def tables_size(self) -> int: ...
    def interval(self, t0: float, t1: float, step: float) -> tuple[float, int]: ...
    def build_tables(
        self,
        *,
        step: float,
        omega: int,
        filter: int,
        loss: int,
        tables: int,
        device: int,
        stream: int,
    ) -> None: ...
    def advance(
        self,
        *,
        step: float,
        steps: int,
        psi: int,
        out: int,
        nonlinearity: int,
        potential: int,
        twiddles: int,
        tables: int,
        device: int,
        stream: int,
    ) -> None: ...

class _Nlse:
    smallest_grid: int
    largest_grid_complex64: int
    largest_grid_complex128: int
    Ensemble: type[_Ensemble]

    def shared_memory_of_a_block(self, device: int) -> int: ...
    def twiddles_complex64(self, n: int) -> bytes: ...
    def twiddles_complex128(self, n: int) -> bytes: ...

nlse: _Nlse
