target_sources(
  fourfold_core PRIVATE csrc/gp/algebra.cpp csrc/gp/algebra_levels.cpp csrc/gp/covariance.cpp csrc/gp/eigh.cpp
                        csrc/gp/funbat.cpp csrc/gp/passes.cpp csrc/gp/spectral_system.cpp csrc/gp/state_space.cpp
                        csrc/gp/triangular.cpp)
fourfold_add_kernels(csrc/gp/algebra_kernels.cpp csrc/gp/covariance_kernels.cpp csrc/gp/funbat_kernels.cpp)
