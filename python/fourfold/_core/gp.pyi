"""C++ of `fourfold.gp`."""
