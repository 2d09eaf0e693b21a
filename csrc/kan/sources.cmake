target_sources(fourfold_core PRIVATE csrc/kan/bases.cpp)
fourfold_add_kernels(csrc/kan/basis_spline_kernels.cpp csrc/kan/basis_function_kernels.cpp)
