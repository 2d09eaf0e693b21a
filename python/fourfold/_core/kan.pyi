"""Types of `fourfold._core.kan` (csrc/bindings/kan.cpp). Addresses are integers."""

class Rational:
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
    def forward(self, x: int, numerator: int, denominator: int, out: int, threads: int) -> None: ...
    def backward(
        self,
        gradient: int,
        x: int,
        numerator: int,
        denominator: int,
        x_gradient: int,
        numerator_gradient: int,
        denominator_gradient: int,
        threads: int,
    ) -> None: ...

class SmallCalls:
    def __init__(self, api: object) -> None: ...
    def add(
        self,
        x: object,
        numerator: object,
        denominator: object,
        variant: str,
        dim: int,
        call: Rational,
    ) -> None: ...
    def forward(
        self,
        x: object,
        numerator: object,
        denominator: object,
        out: object,
        variant: str,
        dim: int,
    ) -> bool: ...

# csrc/bindings/kan_bases.cpp. Each also ends in _float64.

def basis_float32(
    *,
    function: int,
    features: int,
    functions: int,
    centre: int,
    scale: int,
    x: int,
    out: int,
    rows: int,
    threads: int,
) -> None: ...
def basis_contract_float32(
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
    threads: int,
) -> None: ...
def spline_float32(
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
    threads: int,
) -> None: ...
def spline_contract_float32(
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
    threads: int,
) -> None: ...
def spline_linear_float32(
    *,
    features: int,
    degree: int,
    intervals: int,
    shared: bool,
    knots: int,
    table: int,
    outputs: int,
    x: int,
    weight: int,
    y: int,
    rows: int,
    threads: int,
) -> None: ...
def spline_linear_backward_float32(
    *,
    features: int,
    degree: int,
    intervals: int,
    shared: bool,
    knots: int,
    table: int,
    outputs: int,
    grad: int,
    x: int,
    weight: int,
    dx: int,
    dweight: int,
    rows: int,
    threads: int,
) -> None: ...
