"""C++ of `fourfold.pc`."""
