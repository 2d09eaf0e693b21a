"""Exact Gaussian processes on grids, and PDEs solved by them."""
