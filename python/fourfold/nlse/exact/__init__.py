"""Exact solutions, as initial states and as truths to compare with.

Every function returns complex128 of shape ``t.shape + (grid.n,)``: ``(n,)`` for one time,
``(T, n)`` for T of them. All but the dark solitons solve the focusing equation, which is the
default of `fourfold.nlse.Problem`; the dark ones solve it with ``nonlinearity=-1``.
"""

from fourfold.nlse.exact.breathers import akhmediev, akhmediev_length, kuznetsov_ma, peregrine
from fourfold.nlse.exact.dark import dark_soliton, dark_soliton_collision, dark_soliton_pair
from fourfold.nlse.exact.solitons import soliton, two_soliton
from fourfold.nlse.exact.waves import modulation_gain, plane_wave

__all__ = [
    "akhmediev",
    "akhmediev_length",
    "dark_soliton",
    "dark_soliton_collision",
    "dark_soliton_pair",
    "kuznetsov_ma",
    "modulation_gain",
    "peregrine",
    "plane_wave",
    "soliton",
    "two_soliton",
]
