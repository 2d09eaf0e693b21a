"""Types of `fourfold._core.pc` (csrc/bindings/pc*.cpp). Addresses are integers; 0 means none."""

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
