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
