target_sources(fourfold_core PRIVATE csrc/kan/rational.cpp)
fourfold_add_kernels(csrc/kan/rational_kernels.cpp)
