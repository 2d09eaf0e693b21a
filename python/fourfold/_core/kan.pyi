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
