target_sources(fourfold_core PRIVATE csrc/gp/covariance.cpp csrc/gp/state_space.cpp)
fourfold_add_kernels(csrc/gp/covariance_kernels.cpp)
