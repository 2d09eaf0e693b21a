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

class _Kan:
    Rational: type[_Rational]

class _Pc:
    Codec: type[_Codec]
    Likelihood: type[_Likelihood]

kan: _Kan
pc: _Pc
