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

kan: _Kan
