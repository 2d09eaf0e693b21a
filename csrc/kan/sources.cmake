target_sources(fourfold_core PRIVATE csrc/kan/bases.cpp csrc/kan/rational.cpp)
fourfold_add_kernels(csrc/kan/rational_kernels.cpp csrc/kan/basis_spline_kernels.cpp csrc/kan/basis_function_kernels.cpp
                     csrc/kan/basis_combined_kernels.cpp)
