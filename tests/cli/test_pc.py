"""``fourfold pc``: what goes in comes out, and what is refused says why."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fourfold import pc
from fourfold.cli import outcome

from .conftest import Invoke


@pytest.fixture
def digits(folder: Path) -> Any:
    """Small grey images, as a file and as an array."""
    rng = np.random.default_rng(0)
    images = (rng.integers(0, 60, (80, 1, 1)) + rng.integers(0, 4, (80, 4, 5))).astype(np.uint8)
    np.save(folder / "x.npy", images)
    return images


def train(fourfold: Invoke, data: str, *options: str) -> None:
    status, out, _ = fourfold(
        "pc", "train", data, "-o", "m.ffpc", "--latents", "2", "--epochs", "1", *options
    )
    assert status == 0
    assert out.startswith("m.ffpc: ")


def round_trip(fourfold: Invoke, data: str, back: str, *options: str) -> None:
    assert fourfold("pc", "compress", data, "-m", "m.ffpc", "-o", "s.ffz", *options)[0] == 0
    assert fourfold("pc", "decompress", "s.ffz", "-m", "m.ffpc", "-o", back)[0] == 0


def test_npy(fourfold: Invoke, digits: Any, folder: Path) -> None:
    train(fourfold, "x.npy")
    round_trip(fourfold, "x.npy", "back.npy", "--block-items", "7")
    assert (folder / "back.npy").read_bytes() == (folder / "x.npy").read_bytes()
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    status, out, _ = fourfold("pc", "info", "s.ffz")
    assert status == 0
    assert "uint8 of shape (80, 4, 5)" in out
    assert "12 of 7 items" in out
    status, out, _ = fourfold("pc", "info", "m.ffpc")
    assert "20 variables" in out
    assert fourfold("pc", "sample", "-m", "m.ffpc", "-o", "drawn.npy", "-n", "3")[0] == 0
    assert np.load("drawn.npy").shape == (3, 4, 5)


def test_smoothing(fourfold: Invoke, digits: Any, folder: Path) -> None:
    train(fourfold, "x.npy")
    plain = pc.load("m.ffpc")
    train(fourfold, "x.npy", "--smooth", "--overwrite")
    assert pc.load("m.ffpc") == pc.smooth(plain, len(digits))
    round_trip(fourfold, "x.npy", "back.npy")
    assert np.array_equal(np.load("back.npy"), digits)


def test_npz_and_idx(fourfold: Invoke, digits: Any, folder: Path) -> None:
    np.savez("x.npz", digits=digits)
    content = struct.pack(">BBBBIII", 0, 0, 8, 3, *digits.shape) + digits.tobytes()
    with gzip.open("x-idx3-ubyte.gz", "wb") as file:
        file.write(content)
    (folder / "x-idx3-ubyte").write_bytes(content)
    train(fourfold, "x.npz")
    for i, name in enumerate(("x.npz", "x-idx3-ubyte.gz", "x-idx3-ubyte")):
        assert fourfold("pc", "compress", name, "-m", "m.ffpc", "-o", f"{i}.ffz")[0] == 0
        status, *_ = fourfold("pc", "decompress", f"{i}.ffz", "-m", "m.ffpc", "-o", f"{i}.npz")
        assert status == 0
        assert np.array_equal(np.load(f"{i}.npz")["data"], digits)


@pytest.mark.parametrize("channels", [(), (3,)])
def test_images(fourfold: Invoke, folder: Path, channels: tuple[int, ...]) -> None:
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (3, 9, 10, *channels), dtype=np.uint8)
    (folder / "in").mkdir()
    for name, pixels in zip(("b.png", "a.png", "c d.PNG"), images, strict=True):
        image.fromarray(pixels).save(folder / "in" / name, format="PNG")
    train(fourfold, "in", "--patch", "4", "--levels", "1")
    round_trip(fourfold, "in", "out")
    names = sorted(path.name for path in (folder / "out").iterdir())
    assert names == ["a.png", "b.png", "c d.PNG"]
    for name, pixels in zip(("b.png", "a.png", "c d.PNG"), images, strict=True):
        assert np.array_equal(np.asarray(image.open(folder / "out" / name)), pixels)
    assert fourfold("pc", "sample", "-m", "m.ffpc", "-o", "drawn", "-n", "2")[0] == 0
    assert len(list((folder / "drawn").iterdir())) == 2


TABLE = """a,b,c
1,x,true
,"",false
-7,NA,
1,,true
"""


def test_tables(fourfold: Invoke, folder: Path) -> None:
    pytest.importorskip("pyarrow")
    (folder / "t.csv").write_text(TABLE)
    train(fourfold, "t.csv")
    (folder / "u.csv").write_text(TABLE + "5,unseen,false\n")
    round_trip(fourfold, "u.csv", "back.csv")
    assert (folder / "back.csv").read_text().replace('"', "") == (
        '"a","b","c"\n1,"x",true\n,"",false\n-7,"NA",\n1,,true\n5,"unseen",false\n'
    ).replace('"', "")
    assert fourfold("pc", "decompress", "s.ffz", "-m", "m.ffpc", "-o", "u.parquet")[0] == 0
    assert fourfold("pc", "compress", "u.parquet", "-m", "m.ffpc", "-o", "t.ffz")[0] == 0
    assert (folder / "t.ffz").read_bytes() == (folder / "s.ffz").read_bytes()
    status, out, _ = fourfold("pc", "info", "t.ffz")
    assert status == 0
    assert "5 rows of 3 columns" in out
    assert fourfold("pc", "sample", "-m", "m.ffpc", "-o", "drawn.csv", "-n", "9")[0] == 0
    assert len((folder / "drawn.csv").read_text().splitlines()) == 10
    status, _, err = fourfold("pc", "train", "t.csv", "-o", "n.ffpc", "--smooth")
    assert status == 2
    assert "--smooth: t.csv: a table's values are not all ordered" in err.replace("\n", "")


def test_what_is_refused(fourfold: Invoke, digits: Any, folder: Path) -> None:
    train(fourfold, "x.npy")
    assert fourfold("pc", "compress", "x.npy", "-m", "m.ffpc", "-o", "s.ffz")[0] == 0
    (folder / "text.npy").write_text("no array")
    (folder / "text").write_text("nothing")
    np.save("floats.npy", np.zeros((3, 20)))
    np.save("wide.npy", np.zeros((3, 21), np.uint8))
    np.savez("two.npz", a=digits, b=digits)
    (folder / "empty").mkdir()
    compress = ("pc", "compress")
    to = ("-m", "m.ffpc", "-o", "new.ffz")
    back = ("-m", "m.ffpc", "-o", "new.npy")
    for arguments, message in (
        ((*compress, "none.npy", *to), "none.npy: cannot be read: No such file"),
        ((*compress, "text.npy", *to), "text.npy: cannot be read"),
        ((*compress, "text", *to), "allowed: .npy, .npz, IDX"),
        ((*compress, "floats.npy", *to), "an array of float64"),
        ((*compress, "wide.npy", *to), "expected the shape (n, 4, 5)"),
        ((*compress, "two.npz", *to), "it holds 2 arrays (a, b)"),
        ((*compress, "empty", *to), "it holds no .png files"),
        ((*compress, "x.npy", "-m", "x.npy", "-o", "new.ffz"), "not a circuit file"),
        ((*compress, "x.npy", "-m", "none", "-o", "new.ffz"), "none: model: No such file"),
        ((*compress, "x.npy", "-m", "m.ffpc", "-o", "s.ffz"), "s.ffz: output exists"),
        ((*compress, "x.npy", "-m", "m.ffpc", "-o", "no/s.ffz"), "its folder does not exist"),
        (("pc", "decompress", "none.ffz", *back), "none.ffz: cannot be read"),
        (("pc", "decompress", "s.ffz", "-m", "m.ffpc", "-o", "t.csv"), "the stream holds an array"),
        (("pc", "train", "x.npy", "-o", "m.ffpc"), "m.ffpc: output exists"),
        (("pc", "train", "x.npy", "-o", "n.ffpc", "--patch", "3"), "multiples of 4"),
    ):
        status, _, err = fourfold(*arguments)
        assert (status, message in err.replace("\n", "")) == (2, True), err
    assert not list(folder.glob("new*"))


def test_damage_is_status_1(fourfold: Invoke, digits: Any, folder: Path) -> None:
    train(fourfold, "x.npy")
    assert fourfold("pc", "compress", "x.npy", "-m", "m.ffpc", "-o", "s.ffz")[0] == 0
    blob = (folder / "s.ffz").read_bytes()
    (folder / "cut.ffz").write_bytes(blob[:-5])
    status, _, err = fourfold("pc", "decompress", "cut.ffz", "-m", "m.ffpc", "-o", "y.npy")
    assert status == 1
    assert err.startswith("CorruptStreamError: cut.ffz: the index is damaged")
    np.save("flat.npy", digits.reshape(80, 20))
    fourfold("pc", "train", "flat.npy", "-o", "n.ffpc", "--latents", "3", "--epochs", "1")
    status, _, err = fourfold("pc", "decompress", "s.ffz", "-m", "n.ffpc", "-o", "y.npy")
    assert status == 1
    assert err.startswith("ModelMismatchError: s.ffz: ")
    assert not list(folder.glob("*y.npy*"))


def test_names_cannot_lead_out_of_the_folder(fourfold: Invoke, digits: Any, folder: Path) -> None:
    pytest.importorskip("PIL")
    train(fourfold, "x.npy")
    model = pc.load("m.ffpc")
    for names in (["../evil.png", "b.png"], ["a.png", "a.png"], "ab", [1, 2], ["a.png"]):
        blob = pc.compress(model, digits[:2], metadata={"names": names})
        (folder / "s.ffz").write_bytes(blob)
        arguments = ("pc", "decompress", "s.ffz", "-m", "m.ffpc", "-o", "out", "--overwrite")
        assert fourfold(*arguments)[0] == 0
        assert sorted(p.name for p in (folder / "out").iterdir()) == ["000000.png", "000001.png"]
    assert not (folder / "evil.png").exists()


def test_a_missing_extra_gives_the_pip_line(
    fourfold: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome, "find_spec", lambda name: None)
    (folder / "t.csv").write_text(TABLE)
    status, _, err = fourfold("pc", "train", "t.csv", "-o", "m.ffpc")
    assert status == 2
    assert 'pip install "fourfold[table]"' in err.replace("\n", " ")
