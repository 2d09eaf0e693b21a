"""Kolmogorov-Arnold layers with rational and other bases."""
