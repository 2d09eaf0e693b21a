"""C++ of `fourfold.gp`."""

def covariance_jet(
    envelope: int,
    components: int,
    parameters: int,
    lag: int,
    n: int,
    out: list[int],
    threads: int,
) -> None: ...
def covariance_pull_back(
    envelope: int,
    components: int,
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
) -> list[int]: ...
def state_space_scratch(order: list[int], count: int) -> int: ...
