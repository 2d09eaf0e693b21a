"""The reversible front end: inverted exactly, within the ranges that it promises."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourfold import pc

from .codec_reference import random_circuit

Colour = Literal["none", "ycocg_r"]


@given(
    st.sampled_from(["none", "ycocg_r"]),
    st.sampled_from(["haar", "interpolation"]),
    st.integers(0, 3),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 30),
    st.integers(1, 30),
    st.sampled_from([None, 1, 3, 4]),
    st.integers(0, 2**32),
)
@settings(deadline=None, max_examples=100)
def test_inverted_exactly(
    color: Colour,
    transform: Literal["haar", "interpolation"],
    levels: int,
    a: int,
    b: int,
    height: int,
    width: int,
    channels: Any,
    seed: int,
) -> None:
    front = pc.FrontEnd((a << levels, b << levels), color, levels, transform)
    if color == "ycocg_r":
        channels = 3
    shape = (height, width) if channels is None else (height, width, channels)
    rng = np.random.default_rng(seed)
    # Only black and white: where ranges are reached.
    images = (rng.integers(0, 2, (3, *shape)) * 255).astype(np.uint8)
    if seed % 2:
        images = rng.integers(0, 256, (3, *shape), dtype=np.uint8)
    codes = front.forward(images)
    assert codes.shape == (3 * front.patches(shape), *front.event_shape(channels))
    assert codes.min() >= 0
    assert (codes < front.cardinality(channels)).all()
    assert np.array_equal(front.inverse(codes, shape), images)
    assert pc.FrontEnd.from_bytes(front.to_bytes()) == front


def test_the_ranges_are_reached() -> None:
    # Every pair of extreme pixels: red to blue for Co, and steps between neighbours for differences.
    front = pc.FrontEnd((2, 2), "ycocg_r", 1)
    corners = np.stack(np.meshgrid(*[[0, 255]] * 12, indexing="ij"), -1).reshape(-1, 2, 2, 3)
    codes = front.forward(corners.astype(np.uint8))
    span = codes.max(axis=0) - codes.min(axis=0) + 1
    assert front.cardinality(3)[0, 0].tolist() == [256, 511, 511]
    assert front.cardinality(3)[1, 1].tolist() == [1021, 2041, 2041]
    assert (span >= 0.99 * front.cardinality(3)).all()


def test_a_mean_and_a_difference_by_hand() -> None:
    front = pc.FrontEnd((1, 2), levels=0)
    assert front.forward(np.array([[[3, 10]]], np.uint8)).tolist() == [[[3, 10]]]
    front = pc.FrontEnd((2, 2), levels=1)
    # Rows: (3, 10) -> mean 6, difference 7; (1, 0) -> 0 and -1. Columns: (6, 0) -> 3, -6; (7, -1) -> 3, -8.
    codes = front.forward(np.array([[[3, 10], [1, 0]]], np.uint8))
    assert codes.tolist() == [[[3, 3 + 255], [-6 + 255, -8 + 510]]]


def test_an_interpolation_by_hand() -> None:
    front = pc.FrontEnd((1, 8), levels=0, transform="interpolation")
    row = np.array([[[10, 30, 20, 200, 40, 60, 80, 0]]], np.uint8)
    assert front.forward(row).tolist() == row.tolist()
    front = pc.FrontEnd((2, 8), levels=1, transform="interpolation")
    # Between 10, 20, 40, 80: (9 * 30 - 50 + 8) >> 4 = 14, (9 * 60 - 90 + 8) >> 4 = 28, ... The last
    # one repeats 80. Details are stored plus 128; both rows are the same, so that nothing is left.
    first = [10, 30 - 14 + 128, 20, (200 - 28 + 128) % 256, 40, 60 - 61 + 128, 80, 128 - 83]
    codes = front.forward(np.repeat(row, 2, axis=1))
    assert codes[0, 0].tolist() == first
    assert codes[0, 1].tolist() == [128] * 8


def test_smooth_images_leave_small_details_in_both_transforms() -> None:
    y, x = np.mgrid[0:32, 0:32]
    image = np.rint(120 + 60 * np.sin(x / 9) * np.cos(y / 7)).astype(np.uint8)
    cubic = pc.FrontEnd((8, 8), levels=3, transform="interpolation")
    details = cubic.forward(image[None])[5]  # a patch inside the image
    details = np.delete(details.reshape(-1), 0) - 128
    assert np.abs(details).max() <= 2
    assert cubic.cardinality().max() == 256


@pytest.mark.parametrize("transform", ["haar", "interpolation"])
def test_compressed_photographs_come_back(transform: Any) -> None:
    rng = np.random.default_rng(2)
    front = pc.FrontEnd((4, 8), "ycocg_r", 2, transform)
    k = front.cardinality(3).reshape(-1)
    structure = pc.Structure([-1, 0], [2, 3], np.arange(len(k)) % 2, k)
    model = random_circuit(rng, structure)
    images = rng.integers(0, 256, (5, 11, 19, 3), dtype=np.uint8)
    for data in (images, images[0], images[:0]):
        blob = pc.compress(model, data, front_end=front, block_items=2)
        back = pc.decompress(model, blob)
        assert back.shape == data.shape
        assert np.array_equal(back, data)
    blob = pc.compress(model, images, front_end=front, block_items=2)
    reader = pc.CompressedReader(blob, model)
    assert reader.front_end == front
    assert np.array_equal(reader[3], images[3])


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="patch: expected two positive multiples of 4"):
        pc.FrontEnd((8, 6), levels=2)
    with pytest.raises(ValueError, match="levels: expected 0 to 8, got 9"):
        pc.FrontEnd((512, 512), levels=9)
    with pytest.raises(ValueError, match="color: expected one of none, ycocg_r"):
        pc.FrontEnd((8, 8), "yuv")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="transform: expected one of haar, interpolation"):
        pc.FrontEnd((8, 8), transform="dct")  # type: ignore[arg-type]
    front = pc.FrontEnd((8, 8), "ycocg_r")
    with pytest.raises(ValueError, match="channels: ycocg_r takes 3, got 4"):
        front.forward(np.zeros((1, 8, 8, 4), np.uint8))
    with pytest.raises(TypeError, match=r"levels: expected integers, got 1\.5"):
        pc.FrontEnd((8, 8), levels=1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"patch: expected integers, got 4\.0"):
        pc.FrontEnd((4.0, 4))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="patch: expected two positive multiples"):
        pc.FrontEnd(8)  # type: ignore[arg-type]
    codes = front.forward(np.zeros((2, 8, 16, 3), np.uint8))
    with pytest.raises(
        ValueError, match=r"codes: expected the shape \(n \* 2, 8, 8, 3\), got \(3,"
    ):
        front.inverse(codes[:3], (8, 16, 3))
    with pytest.raises(TypeError, match="codes: expected integers, got float64"):
        front.inverse(codes.astype(float), (8, 16, 3))
    assert front.forward(np.zeros((0, 8, 16, 3), np.uint8)).shape == (0, 8, 8, 3)
    assert front.inverse(codes[:0], (8, 16, 3)).shape == (0, 8, 16, 3)
    with pytest.raises(TypeError, match="images: expected uint8, got int64"):
        front.forward(np.zeros((1, 8, 8, 3), np.int64))
    with pytest.raises(ValueError, match="images: expected the shape"):
        front.forward(np.zeros((8, 8), np.uint8))
    structure = pc.Structure.naive_bayes(64, 2, 255)
    model = random_circuit(np.random.default_rng(0), structure)
    with pytest.raises(ValueError, match="front_end: variable 0 has 256 values, 255 in the model"):
        pc.compress(model, np.zeros((1, 8, 8), np.uint8), front_end=pc.FrontEnd((8, 8)))
    for data in (b"", b"\0" * 7, bytes([1, 2, 0, 8, 0, 8, 0]), bytes([1, 0, 1, 3, 0, 8, 0])):
        with pytest.raises(pc.CorruptStreamError, match="the front end in the header"):
            pc.FrontEnd.from_bytes(data)
