target_sources(
  fourfold_core
  PRIVATE csrc/gp/algebra.cpp
          csrc/gp/algebra_levels.cpp
          csrc/gp/covariance.cpp
          csrc/gp/eigh.cpp
          csrc/gp/funbat.cpp
          csrc/gp/passes.cpp
          csrc/gp/spectral_passes.cpp
          csrc/gp/spectral_system.cpp
          csrc/gp/state_space.cpp
          csrc/gp/triangular.cpp)
fourfold_add_kernels(csrc/gp/algebra_kernels.cpp csrc/gp/covariance_kernels.cpp)
# Rows of R or 2 R numbers, seldom more than eight: wider vectors are mostly padding.
set(funbat_options "")
if("v4" IN_LIST FOURFOLD_LEVELS)
  set(funbat_options -mprefer-vector-width=256)
endif()
fourfold_add_kernels(csrc/gp/funbat_kernels.cpp OPTIONS ${funbat_options})
