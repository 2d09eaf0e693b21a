# The extension module of the CUDA kernels, which an installation may lack. Addresses are of device memory; `stream` is
# a cudaStream_t. Work is queued, and nothing waits for it.
from collections.abc import Sequence

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
    def flows(self, steps: int) -> int: ...
    def slopes_size(self) -> int: ...
    def build_slopes(
        self, *, step: float, loss: int, slopes: int, device: int, stream: int
    ) -> None: ...
    def record(
        self,
        *,
        step: float,
        steps: int,
        first: int,
        last: int,
        psi: int,
        fields: int,
        spectra: int,
        out: int,
        nonlinearity: int,
        potential: int,
        twiddles: int,
        tables: int,
        device: int,
        stream: int,
    ) -> None: ...
    def adjoint(
        self,
        *,
        step: float,
        steps: int,
        first: int,
        last: int,
        cotangent: int,
        fields: int,
        spectra: int,
        slopes: int,
        sum_nonlinearity: int,
        sum_potential: int,
        sum_loss: int,
        sum_omega: int,
        nonlinearity: int,
        potential: int,
        twiddles: int,
        tables: int,
        device: int,
        stream: int,
    ) -> None: ...

class _AdaptiveEnsemble:
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
    def advance(
        self,
        *,
        t0: float,
        t1: float,
        span: float,
        rtol: float,
        atol: float,
        psi: int,
        out: int,
        coarse: int,
        first: int,
        next: int,
        nonlinearity: int,
        potential: int,
        loss: int,
        omega: int,
        filter: int,
        order: int,
        twiddles: int,
        device: int,
        stream: int,
    ) -> None: ...

class _Fields:
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
    @property
    def kinetic_first(self) -> bool: ...
    def tables_size(self) -> int: ...
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
    def begin(
        self,
        *,
        step: float,
        steps: int,
        nonlinearity: int,
        potential: int,
        tables: int,
        device: int,
        stream: int,
    ) -> int: ...
    def kinetic(self, k: int, psi: int) -> None: ...
    def potential(self, k: int, psi: int, out: int) -> None: ...
    def flows(self, steps: int) -> int: ...
    def sums_of_row(self) -> int: ...
    def slopes_size(self) -> int: ...
    def build_slopes(
        self, *, step: float, loss: int, slopes: int, device: int, stream: int
    ) -> None: ...
    def kinetic_adjoint(self, k: int, *, cotangent: int, spectrum: int, sum_omega: int) -> None: ...
    def potential_adjoint(
        self,
        k: int,
        *,
        psi: int,
        cotangent: int,
        slopes: int,
        sum_nonlinearity: int,
        sum_potential: int,
        sum_loss: int,
    ) -> None: ...

class _Nlse:
    points_of_thread: int
    most_adjoint_steps: int
    smallest_grid: int
    largest_grid_complex64: int
    largest_grid_complex128: int
    Ensemble: type[_Ensemble]
    Fields: type[_Fields]
    AdaptiveEnsemble: type[_AdaptiveEnsemble]
    largest_adaptive_grid: int

    def frequencies(self, n: int) -> bytes: ...
    def shared_memory_of_block(self, device: int) -> int: ...
    def twiddles_complex64(self, n: int) -> bytes: ...
    def twiddles_complex128(self, n: int) -> bytes: ...

class _Codec:
    def __init__(
        self,
        *,
        operations: int,
        tables: int,
        count: int,
        variables: int,
        lane_floats: int,
        factor: int,
        wide: int,
    ) -> None: ...
    def encode_scratch(self, rows: int, device: int) -> int: ...
    def decode_scratch(self, blocks: int, streams: int, device: int) -> int: ...
    def encode(
        self,
        *,
        cells: int,
        size: int,
        rows: int,
        blocks: int,
        count: int,
        intervals: int,
        bad: int,
        scratch: int,
        out: int,
        length: int,
        status: int,
        device: int,
        stream: int,
    ) -> None: ...
    def decode(
        self,
        *,
        input: int,
        blocks: int,
        count: int,
        streams: int,
        cells: int,
        size: int,
        scratch: int,
        status: int,
        device: int,
        stream: int,
    ) -> None: ...

class _Likelihood:
    def __init__(
        self,
        *,
        operations: int,
        tables: int,
        count: int,
        variables: int,
        warp_floats: int,
    ) -> None: ...
    def scratch(self, images: int, device: int) -> int: ...
    def log_prob(
        self,
        *,
        codes: int,
        size: int,
        images: int,
        scratch: int,
        out: int,
        device: int,
        stream: int,
    ) -> None: ...

class _Em:
    def __init__(
        self,
        *,
        plan: int,
        nodes: int,
        variables: int,
        edge_jobs: int,
        leaf_jobs: int,
        update_jobs: int,
        levels: Sequence[int],
        tables: int,
        flow: int,
        average: int,
        totals: int,
        likelihood: int,
        message: int,
        posterior: int,
        expected: int,
        exponent: int,
        log_prob: int,
        stride: int,
    ) -> None: ...
    def log_prob(self, *, codes: int, size: int, images: int, device: int, stream: int) -> None: ...
    def step(
        self,
        *,
        codes: int,
        sorted: int,
        order: int,
        size: int,
        images: int,
        rescaled: bool,
        step: float,
        pseudocount: float,
        momentum: float,
        correction: float,
        device: int,
        stream: int,
    ) -> None: ...
    def accumulate(
        self,
        *,
        codes: int,
        sorted: int,
        order: int,
        size: int,
        images: int,
        device: int,
        stream: int,
    ) -> None: ...
    def finish(
        self,
        *,
        count: float,
        rescaled: bool,
        step: float,
        pseudocount: float,
        momentum: float,
        correction: float,
        device: int,
        stream: int,
    ) -> None: ...
    def draw(
        self,
        *,
        codes: int,
        size: int,
        images: int,
        repeats: int,
        uniforms: int,
        states: int,
        values: int,
        device: int,
        stream: int,
    ) -> None: ...

class _Pc:
    Codec: type[_Codec]
    Em: type[_Em]
    Likelihood: type[_Likelihood]

class _SmallSystem:
    def __init__(
        self, *, batch: int, count: int, sizes: Sequence[int], items: Sequence[int]
    ) -> None: ...
    def fits(self, device: int) -> bool: ...
    def status_count(self) -> int: ...
    def workspace_count(self) -> int: ...
    def forward(
        self,
        *,
        factors: Sequence[int],
        noise: int,
        y: int,
        limit: float,
        basis: int,
        values: int,
        x: int,
        quad: int,
        logdet: int,
        status: int,
        device: int,
        stream: int,
    ) -> None: ...
    def backward(
        self,
        *,
        basis: int,
        values: int,
        noise: int,
        x: int,
        grad_quad: int,
        grad_logdet: int,
        wanted: Sequence[bool],
        grad_factors: int,
        grad_noise: int,
        grad_y: int,
        middles: int,
        device: int,
        stream: int,
    ) -> None: ...

class _StateSpace:
    def __init__(
        self,
        *,
        order: Sequence[int],
        rate: Sequence[float],
        variance: Sequence[float],
        series: int,
        count: int,
    ) -> None: ...
    def size(self) -> int: ...
    def scratch_count(self) -> int: ...
    def likelihood(
        self,
        *,
        data: Sequence[int],
        reached: int,
        predicted: int,
        log_likelihood: int,
        by_noise: int,
        by_rate: int,
        by_log_variance: int,
        scratch: int,
        device: int,
        stream: int,
    ) -> None: ...
    def posterior(
        self,
        *,
        data: Sequence[int],
        reached: int,
        predicted: int,
        place: int,
        mean: int,
        variance: int,
        scratch: int,
        device: int,
        stream: int,
    ) -> None: ...

class _Gp:
    StateSpace: type[_StateSpace]
    def covariance_jet(
        self,
        *,
        form: int,
        components: int,
        parameters: int,
        points: Sequence[int],
        columns: int,
        n: int,
        out: Sequence[int],
        add: bool,
        device: int,
        stream: int,
    ) -> None: ...
    def covariance_product(
        self,
        *,
        a: Sequence[int],
        b: Sequence[int],
        n: int,
        out: Sequence[int],
        add: bool,
        device: int,
        stream: int,
    ) -> None: ...
    def covariance_product_pull_back(
        self,
        *,
        b: Sequence[int],
        cotangent: Sequence[int],
        n: int,
        by_a: Sequence[int],
        device: int,
        stream: int,
    ) -> None: ...
    def covariance_parts(self, components: int, lags: int) -> int: ...
    def covariance_pull_back(
        self,
        *,
        form: int,
        components: int,
        parameters: int,
        points: Sequence[int],
        columns: int,
        n: int,
        cotangent: Sequence[int],
        gradient: int,
        parts: int,
        device: int,
        stream: int,
    ) -> None: ...
    SmallSystem_float32: type[_SmallSystem]
    SmallSystem_float64: type[_SmallSystem]
    def eigh_fits(self, n: int, device: int) -> bool: ...
    def eigh(
        self,
        *,
        batch: int,
        n: int,
        a: int,
        limit: float,
        values: int,
        vectors: int,
        status: int,
        device: int,
        stream: int,
    ) -> None: ...

kan: _Kan
nlse: _Nlse
pc: _Pc
gp: _Gp
