"""C++ of `fourfold.kan`."""
