"""Differential equations on an interval, solved by conditioning a Gaussian process on them."""

from fourfold.gp.pde import problems
from fourfold.gp.pde.problem import Condition, Dirichlet, Neumann, Problem
from fourfold.gp.pde.solution import Solution
from fourfold.gp.pde.solve import solve

__all__ = ["Condition", "Dirichlet", "Neumann", "Problem", "Solution", "problems", "solve"]
