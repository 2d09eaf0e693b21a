"""Problem: coefficients in, values on the grid out, and what it refuses."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from fourfold import nlse
from tests.nlse.reference import integrate

GRID = nlse.Grid(24, 6.0)


def test_defaults_are_the_focusing_equation() -> None:
    problem = nlse.Problem(GRID)
    k = 2 * np.pi * np.fft.fftfreq(24, 0.25)
    np.testing.assert_allclose(problem.omega, k**2 / 2, rtol=1e-15)
    assert problem.grid is GRID
    assert problem.dispersion == {2: 0.5}
    assert problem.nonlinearity == 1.0
    assert problem.potential is None
    assert problem.loss is None
    assert problem.batch_shape == ()
    assert problem.quadratic
    assert not problem.lossy


def test_omega_of_mixed_orders() -> None:
    problem = nlse.Problem(GRID, dispersion={4: 1e-3, 1: -0.7, 3: 0.1, 2: 0.25})
    k = GRID.k
    expected = -0.7 * k + 0.25 * k**2 + 0.1 * k**3 + 1e-3 * k**4
    np.testing.assert_allclose(problem.omega, expected, rtol=1e-14, atol=1e-12)
    assert problem.dispersion == {1: -0.7, 2: 0.25, 3: 0.1, 4: 1e-3}


def test_omega_acts_as_a_derivative() -> None:
    # exp(sin x) on one period: its third derivative is known in closed form.
    grid = nlse.Grid(64, 2 * np.pi)
    x = grid.x
    psi = np.exp(np.sin(x))
    omega = nlse.Problem(grid, dispersion={3: 0.2}).omega
    applied = np.fft.ifft(omega * np.fft.fft(psi))
    s, c = np.sin(x), np.cos(x)
    third = psi * (c**3 - 3 * s * c - c)
    # omega(-i d/dx) = 0.2 (-i)^3 d^3/dx^3 = 0.2 i d^3/dx^3
    np.testing.assert_allclose(applied, 0.2j * third, atol=1e-11)


def test_omega_given_as_an_array() -> None:
    values = np.cos(GRID.k)
    problem = nlse.Problem(GRID, dispersion=values)
    assert np.array_equal(problem.omega, values)
    values[0] = 99.0  # a copy was taken
    assert problem.omega[0] == 1.0


@pytest.mark.parametrize(
    ("dispersion", "quadratic"),
    [
        ({2: -1.3}, True),
        ({1: 0.4, 2: 0.5}, True),
        ({2: 0.5, 3: 0.0}, True),
        ({}, True),
        ({2: 0.5, 3: 1e-6}, False),
        ({4: 0.1}, False),
        (0.5 * GRID.k**2 + 1e3, True),
        (0.5 * GRID.k**2 - 0.3 * GRID.k, True),
        (np.zeros(24), True),
        (np.full(24, -7.0), True),
        (0.5 * GRID.k**2 + 1e-9 * GRID.k**3, False),
        (np.sqrt(1 + GRID.k**2), False),
        (np.abs(GRID.k), False),
    ],
)
def test_quadratic(dispersion: Any, quadratic: bool) -> None:
    assert nlse.Problem(GRID, dispersion=dispersion).quadratic is quadratic


@pytest.mark.parametrize("n", [2, 3, 4, 4096, 2**18])
def test_quadratic_is_seen_through_rounding_on_any_grid(n: int) -> None:
    grid = nlse.Grid(n, 0.37)
    assert nlse.Problem(grid, dispersion=0.5 * grid.k**2 + 1 / 3).quadratic


@pytest.mark.parametrize(
    ("options", "sixth"),
    [
        ({}, 6),
        ({"potential": np.sin(GRID.x), "nonlinearity": -3.0}, 6),
        ({"loss": 0.0}, 6),
        ({"loss": 0.2}, 4),
        ({"loss": lambda x: np.where(x > 1, -0.1, 0.0)}, 4),
        ({"dispersion": {2: 0.5, 3: 0.1}}, 4),
    ],
)
def test_order(options: dict[str, Any], sixth: int) -> None:
    problem = nlse.Problem(GRID, **options)
    orders = {name: problem.order(name) for name in nlse.methods.METHODS}
    assert orders == {
        "strang": 2,
        "yoshida4": 4,
        "rkn4_6b": 4,
        "rkn6_11b": sixth,
        "rkn6_14a": sixth,
        "rk4ip": 4,
        "etdrk4": 4,
        "dop853": 8,
        "published": 8,
    }


def test_order_of_an_unknown_method() -> None:
    with pytest.raises(ValueError, match="euler"):
        nlse.Problem(GRID).order("euler")


@pytest.mark.parametrize("name", ["potential", "loss"])
class TestMedium:
    def test_kinds(self, name: str) -> None:
        def values(given: Any) -> Any:
            return getattr(nlse.Problem(GRID, **{name: given}), name)

        assert np.array_equal(values(3), np.full(24, 3.0))
        assert np.array_equal(values(lambda x: x**2), GRID.x**2)
        assert np.array_equal(values(lambda x: 2.5), np.full(24, 2.5))
        assert np.array_equal(values(list(range(24))), np.arange(24.0))
        batch = np.random.default_rng(0).normal(size=(3, 1, 24))
        kept = values(batch[:, ::-1])
        assert np.array_equal(kept, batch)
        assert kept.dtype == np.float64
        assert kept.flags.c_contiguous
        assert not kept.flags.writeable
        assert values(batch.astype(">f4")).dtype == np.dtype(np.float64)  # native byte order

    def test_a_copy_is_taken(self, name: str) -> None:
        given = np.ones(24)
        problem = nlse.Problem(GRID, **{name: given})
        given[:] = 5.0
        assert np.array_equal(getattr(problem, name), np.ones(24))

    def test_wrong_shape(self, name: str) -> None:
        with pytest.raises(ValueError, match=rf"{name} must be .* n = 24, got shape \(25,\)"):
            nlse.Problem(GRID, **{name: np.zeros(25)})
        with pytest.raises(ValueError, match=rf"{name} must return .* got shape \(24, 1\)"):
            nlse.Problem(GRID, **{name: lambda x: x[:, None]})  # type: ignore[arg-type]

    def test_wrong_kind(self, name: str) -> None:
        for bad in (1j, "1", np.full(24, 1j), True, [None] * 24):
            with pytest.raises(TypeError, match=f"{name} must be real numbers, got dtype"):
                nlse.Problem(GRID, **{name: bad})  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=f"{name} is not an array"):
            nlse.Problem(GRID, **{name: [1.0, [2.0]]})  # type: ignore[arg-type]

    def test_not_finite(self, name: str) -> None:
        for bad in (np.nan, np.inf):
            given = np.zeros(24)
            given[7] = bad
            with pytest.raises(ValueError, match=f"{name} must be finite, got {bad}"):
                nlse.Problem(GRID, **{name: given})


def test_batch_shape() -> None:
    problem = nlse.Problem(
        GRID, nonlinearity=np.ones((4, 1)), potential=np.zeros((3, 24)), loss=0.1
    )
    assert problem.batch_shape == (4, 3)
    assert isinstance(problem.nonlinearity, np.ndarray)
    assert problem.nonlinearity.shape == (4, 1)
    message = r"do not fit together: nonlinearity \(4,\), potential \(3,\)"
    with pytest.raises(ValueError, match=message):
        nlse.Problem(GRID, nonlinearity=np.ones(4), potential=np.zeros((3, 24)))


@pytest.mark.parametrize(
    ("dispersion", "error", "message"),
    [
        ({0: 1.0}, ValueError, "orders must be at least 1, got 0"),
        ({-2: 1.0}, ValueError, "orders must be at least 1, got -2"),
        ({"2": 1.0}, TypeError, "orders must be integers, got '2'"),
        ({2.0: 1.0}, TypeError, "orders must be integers, got 2.0"),
        ({2: 1j}, TypeError, r"dispersion\[2\] must be a real number"),
        ({2: "x"}, TypeError, r"dispersion\[2\] must be a real number"),
        ({2: np.nan}, ValueError, r"dispersion\[2\] must be finite, got nan"),
        ({600: 1.0}, ValueError, "overflows at the grid's largest wavenumber, 12.566"),
        (np.zeros(23), ValueError, r"dispersion must be .* shape \(24,\), got shape \(23,\)"),
        (0.5, ValueError, r"dispersion must be .* got shape \(\)"),
        (np.zeros(24, complex), TypeError, "dispersion must be real numbers, got dtype complex128"),
        (np.full(24, np.inf), ValueError, "dispersion must be finite, got inf"),
    ],
)
def test_bad_dispersion(dispersion: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        nlse.Problem(GRID, dispersion=dispersion)


@pytest.mark.parametrize(
    ("g", "error"), [(np.nan, ValueError), (1j, TypeError), ("1", TypeError), (None, TypeError)]
)
def test_bad_nonlinearity(g: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="nonlinearity must be"):
        nlse.Problem(GRID, nonlinearity=g)


def test_bad_grid() -> None:
    with pytest.raises(TypeError, match=r"grid must be a fourfold.nlse.Grid, got int"):
        nlse.Problem(512)  # type: ignore[arg-type]


def test_a_problem_does_not_change() -> None:
    problem = nlse.Problem(GRID, potential=1.0)
    with pytest.raises(AttributeError):
        problem.loss = None  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        problem.omega[0] = 1.0
    problem.dispersion[2] = 7.0  # type: ignore[index]  # a copy
    assert problem.dispersion == {2: 0.5}


def test_replace_changes_what_is_named_and_nothing_else() -> None:
    x = GRID.x
    shaken = nlse.Modulated(x, np.sin)
    problem = nlse.Problem(
        GRID, dispersion={2: 0.5, 3: 0.1}, nonlinearity=np.ones(3), potential=shaken, loss=0.1
    )
    assert problem.order("rkn6_14a") == 4
    other = problem.replace(dispersion={2: 1.0}, loss=None)
    assert (other.dispersion, other.loss, other.batch_shape) == ({2: 1.0}, None, (3,))
    np.testing.assert_array_equal(other.omega, GRID.k**2)
    assert other.in_time["potential"] is problem.in_time["potential"]
    assert other.order("rkn6_14a") == 6
    assert problem.replace() is problem
    assert problem.replace(nonlinearity=2.0).batch_shape == ()
    assert problem.dispersion == {2: 0.5, 3: 0.1}
    assert problem.loss is not None
    with pytest.raises(TypeError, match="no coefficient 'gamma'; it has dispersion, nonlinearity"):
        problem.replace(gamma=1.0)
    with pytest.raises(ValueError, match="batch shapes do not fit together"):
        problem.replace(loss=np.zeros((2, GRID.n)))


def test_replace_keeps_the_gradients_of_the_others() -> None:
    torch = pytest.importorskip("torch")
    g, v = (torch.ones(size, dtype=torch.float64, requires_grad=True) for size in ((), GRID.n))
    factor = torch.tensor([1.0, 2.0], requires_grad=True)
    loss = nlse.Modulated(1.0, factor, [0.0, 1.0])
    problem = nlse.Problem(GRID, nonlinearity=g, potential=v, loss=loss)
    assert set(problem.leaves) == {"nonlinearity", "potential", "loss[0].factor"}
    assert set(problem.replace(potential=None).leaves) == {"nonlinearity", "loss[0].factor"}
    assert set(problem.replace(loss=0.0).leaves) == {"nonlinearity", "potential"}
    assert problem.replace(loss=v).leaves["loss"].tensor is v


def test_repr_and_pickle() -> None:
    problem = nlse.Problem(GRID, dispersion={2: 0.5, 3: 0.1}, potential=lambda x: x, loss=0.1)
    text = repr(problem)
    assert "Grid(n=24, length=6.0)" in text
    assert "{2: 0.5, 3: 0.1}" in text
    assert "potential=<array (24,)>" in text
    copy = pickle.loads(pickle.dumps(problem))
    assert np.array_equal(copy.potential, GRID.x)
    assert np.array_equal(copy.omega, problem.omega)


@pytest.mark.parametrize(
    ("dispersion", "sixth"), [({1: 0.7, 2: 0.5}, True), ({2: 0.5, 3: 0.2}, False)]
)
def test_what_quadratic_means_for_a_nystrom_splitting(
    dispersion: dict[int, float], sixth: bool
) -> None:
    # RKN6-11b of Blanes & Moan (2002), written out, on a field in a potential.
    grid = nlse.Grid(64, 2 * np.pi)
    problem = nlse.Problem(grid, dispersion=dispersion, potential=np.cos(grid.x))
    assert problem.quadratic is sixth
    b = [0.0414649985182624, 0.198128671918067, -0.0400061921041533, 0.0752539843015807]
    b += [-0.0115113874206879]
    b += [0.5 - sum(b)]
    a = [0.123229775946271, 0.290553797799558, -0.127049212625417, -0.246331761062075]
    a += [0.357208872795928]
    a += [1 - 2 * sum(a)]
    kicks, drifts = b + b[::-1], a + a[-2::-1]

    def split(psi: Any, steps: int) -> Any:
        h = 1.0 / steps
        for _ in range(steps):
            for i, kick in enumerate(kicks):
                psi = psi * np.exp(1j * kick * h * (np.abs(psi) ** 2 - np.cos(grid.x)))
                if i < len(drifts):
                    turn = np.exp(-1j * drifts[i] * h * problem.omega)
                    psi = np.fft.ifft(turn * np.fft.fft(psi))
        return psi

    psi0 = np.exp(np.cos(grid.x) + 1j * np.sin(grid.x))
    truth = integrate(
        psi0, [0.0, 1.0], length=grid.length, dispersion=dispersion, potential=np.cos(grid.x)
    )[-1]
    errors = [np.abs(split(psi0, steps) - truth).max() for steps in (80, 160)]
    order = np.log2(errors[0] / errors[1])
    assert errors[1] > 1e-11  # above round-off
    assert order > 5.7 if sixth else order < 5.2
