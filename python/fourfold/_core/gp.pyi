"""C++ of `fourfold.gp`."""

def covariance_jet(
    steps: list[int],
    components: list[int],
    parameters: int,
    lag: int,
    n: int,
    out: list[int],
    threads: int,
) -> None: ...
def covariance_pull_back(
    steps: list[int],
    components: list[int],
    parameters: int,
    lag: int,
    n: int,
    cotangent: list[int],
    gradient: int,
    threads: int,
) -> None: ...
def state_space(
    *,
    order: list[int],
    rate: int,
    variance: int,
    series: int,
    count: int,
    time: int,
    value: int,
    noise: int,
    observed: int,
    out: list[int],
    scratch: int,
    backward: bool,
    threads: int,
) -> list[tuple[int, float]]: ...
def state_space_scratch(order: list[int], count: int) -> int: ...

"""Types of `fourfold._core.gp` (csrc/bindings/gp.cpp). Addresses are integers; 0 means none."""

# (rows, columns, address, stride of a batch item, row stride, column stride), strides in elements
_Mode = tuple[int, int, int, int, int, int]

def mode_products_float32(
    batch: int, count: int, modes: list[_Mode], x: int, out: int, work: int, threads: int, /
) -> None: ...
def triangular_solves_float32(
    batch: int,
    count: int,
    sizes: list[int],
    items: list[int],
    lower: list[int],
    sweep: int,
    x: int,
    out: int,
    threads: int,
    /,
) -> None: ...
def spectral_divide_float32(
    batch: int,
    count: int,
    sizes: list[int],
    values: list[int],
    noise: int,
    x: int,
    quad: int,
    threads: int,
    /,
) -> None: ...
def spectral_sums_float32(
    batch: int,
    sizes: list[int],
    values: list[int],
    noise: int,
    logdet: int,
    inverse: int,
    smallest: int,
    traces: list[int],
    threads: int,
    /,
) -> None: ...
def mode_gram_float32(
    batch: int,
    count: int,
    sizes: list[int],
    mode: int,
    x: int,
    z: int,
    values: list[int],
    weight: int,
    gram: int,
    threads: int,
    /,
) -> None: ...
def spectral_forward_float32(
    batch: int,
    count: int,
    sizes: list[int],
    items: list[int],
    factors: list[int],
    noise: int,
    y: int,
    asymmetry: float,
    basis: int,
    values: int,
    x: int,
    quad: int,
    logdet: int,
    threads: int,
    /,
) -> bool: ...
def spectral_backward_float32(
    batch: int,
    count: int,
    sizes: list[int],
    items: list[int],
    basis: int,
    values: int,
    noise: int,
    x: int,
    grad_quad: int,
    grad_logdet: int,
    wanted: list[bool],
    grad_factors: int,
    grad_noise: int,
    grad_y: int,
    threads: int,
    /,
) -> None: ...
def asymmetry_float32(batch: int, n: int, a: int, threads: int, /) -> tuple[float, float]: ...
def all_finite_float32(rows: int, n: int, x: int, threads: int, /) -> bool: ...
def row_dots_float32(rows: int, n: int, x: int, z: int, out: int, threads: int, /) -> None: ...
def scale_rows_float32(
    rows: int, n: int, factor: int, x: int, out: int, threads: int, /
) -> None: ...

all_finite_float64 = all_finite_float32
row_dots_float64 = row_dots_float32
scale_rows_float64 = scale_rows_float32
mode_products_float64 = mode_products_float32
triangular_solves_float64 = triangular_solves_float32
spectral_divide_float64 = spectral_divide_float32
spectral_sums_float64 = spectral_sums_float32
mode_gram_float64 = mode_gram_float32
spectral_forward_float64 = spectral_forward_float32
spectral_backward_float64 = spectral_backward_float32
asymmetry_float64 = asymmetry_float32

# jobs: (batch, n, address of a, of values, of vectors)
def eigh_float64(
    jobs: list[tuple[int, int, int, int, int]], asymmetry: float, threads: int, /
) -> bool: ...
def durbin_float64(
    n: int, column: int, predictor: int, work: int, /
) -> tuple[int, float, float]: ...

FUNBAT_MAX_RANK: int
FUNBAT_MAX_MODES: int

def funbat_chain_scratch(*, rank: int, order: int, count: int) -> int: ...
def funbat_chain_steps(*, order: int, rate: float, count: int, length: int, step: int) -> None: ...
def funbat_smooth_chain(
    *,
    rank: int,
    order: int,
    count: int,
    length: int,
    step: int,
    variance: int,
    observed: int,
    precision: int,
    shift: int,
    scale: float,
    out: list[int],
    scratch: int,
) -> int: ...
def funbat_sum_entries(
    *,
    tucker: bool,
    count: int,
    times: int,
    start: int,
    places: int,
    value: int,
    rank: list[int],
    mean: list[int],
    second: list[int],
    first_sum: int,
    second_sum: int,
    threads: int,
) -> None: ...
def funbat_evaluate_points(
    *,
    tucker: bool,
    count: int,
    places: int,
    rank: list[int],
    mean: list[int],
    covariance: list[int],
    core_mean: int,
    core_covariance: int,
    out_mean: int,
    out_variance: int,
    threads: int,
) -> None: ...
def funbat_rows_times_rows(
    *, rows: int, columns: int, inner: int, a: int, b: int, out: int, threads: int
) -> None: ...
def funbat_columns_times_columns(
    *, rows: int, columns: int, inner: int, a: int, b: int, out: int, threads: int
) -> None: ...
def funbat_invert(*, n: int, matrix: int, inverse: int, logdet: int) -> int: ...
