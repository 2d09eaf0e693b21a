"""The experiments of `fourfold.gp`."""

from fourfold.reproduce.gp import box, line, photograph, tensors
from fourfold.reproduce.record import Family

_TEXT = """
A Gaussian process with a product kernel on a grid has a covariance that is a Kronecker product of small matrices, and
all that regression needs is exact at their cost. Conditioned on a differential equation in the place of observations,
such a process solves it, and its likelihood finds the frequencies of the solution.
"""

# A new experiment is one line here.
FAMILY = Family(
    title="gp: Gaussian processes on grids",
    text=_TEXT,
    experiments=(
        ("Differential equations on a line", line.run),
        ("Differential equations on a square", box.run),
        ("A photograph with holes", photograph.run),
        ("Tensors with continuous indices", tensors.run),
    ),
)
