"""Probabilistic circuits: learning, exact queries, lossless compression."""
