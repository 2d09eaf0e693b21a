"""Types of `fourfold._core.pc` (csrc/bindings/pc*.cpp). Addresses are integers; 0 means none."""

from typing import Any

class Model:
    def __init__(
        self,
        *,
        nodes: int,
        variables: int,
        parent: int,
        states: int,
        leaf_node: int,
        cardinality: int,
        offsets: int,
        packed: int,
    ) -> None: ...
    def log_prob(self, codes: int, bytes: int, count: int, out: int, threads: int) -> None: ...
    def posteriors(
        self,
        codes: int,
        bytes: int,
        count: int,
        nodes: list[int],
        out: int,
        log_prob: int,
        threads: int,
    ) -> None: ...
    def sample(
        self,
        codes: int,
        bytes: int,
        count: int,
        repeats: int,
        uniforms: int,
        values: int,
        log_prob: int,
        threads: int,
    ) -> None: ...
    def gradient(
        self, codes: int, bytes: int, count: int, weight: int, out: int, threads: int
    ) -> None: ...
    def most_probable(
        self,
        codes: int,
        bytes: int,
        count: int,
        values: int,
        states: int,
        log_joint: int,
        threads: int,
    ) -> None: ...

class Trainer:
    def __init__(
        self,
        *,
        nodes: int,
        variables: int,
        parent: int,
        states: int,
        leaf_node: int,
        cardinality: int,
        offsets: int,
        packed: int,
        capacity: int,
        keep_average: bool,
        keep_totals: bool,
        threads: int,
    ) -> None: ...
    def step(
        self,
        codes: int,
        bytes: int,
        order: int,
        count: int,
        rescaled: bool,
        step: float,
        pseudocount: float,
        momentum: float,
        correction: float,
        log_prob: int,
    ) -> None: ...
    def accumulate(self, codes: int, bytes: int, order: int, count: int, log_prob: int) -> None: ...
    def finish(
        self,
        count: float,
        rescaled: bool,
        step: float,
        pseudocount: float,
        momentum: float,
        correction: float,
    ) -> None: ...
    def load(self, packed: int) -> None: ...
    def store(self, packed: int) -> None: ...
    def load_average(self, packed: int) -> None: ...
    def store_average(self, packed: int) -> None: ...
    def store_totals(self, packed: int) -> None: ...

def mutual_information(
    *,
    variables: int,
    bins: int,
    first: int,
    lower: int,
    share: int,
    codes: int,
    bytes: int,
    order: int,
    count: int,
    out: int,
    threads: int,
) -> None: ...

class Codec:
    def __init__(
        self,
        *,
        nodes: int,
        variables: int,
        parent: int,
        states: int,
        leaf_node: int,
        cardinality: int,
        packed: int,
        offsets: int,
        threads: int,
    ) -> None: ...
    @property
    def order(self) -> list[int]: ...
    @property
    def table_floats(self) -> int: ...
    def streams(self, rows: int) -> int: ...
    def gpu_program(self) -> dict[str, int]: ...
    def write_gpu_program(self, operations: int, tables: int) -> None: ...
    def encode(
        self,
        cells: int,
        size: int,
        rows: list[int],
        start: int,
        out: int,
        length: int,
        status: int,
        threads: int,
    ) -> None: ...
    def decode(
        self,
        input: int,
        start: int,
        length: int,
        rows: list[int],
        cells: int,
        size: int,
        status: int,
        threads: int,
    ) -> None: ...

def encode_missing(missing: int, rows: int, columns: int) -> bytes: ...
def decode_missing(input: int, length: int, missing: int, rows: int, columns: int) -> None: ...
def up_program(
    *,
    nodes: int,
    variables: int,
    parent: int,
    states: int,
    leaf_node: int,
    cardinality: int,
    packed: int,
    offsets: int,
    operations: int,
    tables: int,
) -> dict[str, int]: ...

class EmPlan:
    def __init__(
        self,
        *,
        nodes: int,
        variables: int,
        parent: int,
        states: int,
        leaf_node: int,
        cardinality: int,
        offsets: int,
    ) -> None: ...
    def shape(self) -> dict[str, Any]: ...
    @property
    def bytes(self) -> int: ...
    @property
    def table_floats(self) -> int: ...
    @property
    def row(self) -> int: ...
    @property
    def message_row(self) -> int: ...
    def write(self, plan: int) -> None: ...
    def load(self, packed: int, tables: int) -> None: ...
    def store(self, tables: int, packed: int) -> None: ...
