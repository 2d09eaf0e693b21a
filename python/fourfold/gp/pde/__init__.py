"""Differential equations, solved by conditioning a Gaussian process on them."""

from fourfold.gp.pde import problems
from fourfold.gp.pde.box_solution import BoxSolution
from fourfold.gp.pde.conditions import Condition, Dirichlet, Neumann, Periodic
from fourfold.gp.pde.gp_hm import GPHM, published_kernel
from fourfold.gp.pde.hm_solution import GPHMSolution
from fourfold.gp.pde.nonlinear import Nonlinear
from fourfold.gp.pde.problem import Problem
from fourfold.gp.pde.solution import Solution
from fourfold.gp.pde.solve import solve

__all__ = [
    "GPHM",
    "BoxSolution",
    "Condition",
    "Dirichlet",
    "GPHMSolution",
    "Neumann",
    "Nonlinear",
    "Periodic",
    "Problem",
    "Solution",
    "problems",
    "published_kernel",
    "solve",
]
