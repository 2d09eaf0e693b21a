target_sources(fourfold_core PRIVATE csrc/nlse/integrator.cpp csrc/nlse/integrator_backward.cpp csrc/nlse/schemes.cpp)
fourfold_add_kernels(csrc/nlse/kernels.cpp csrc/nlse/adjoint_kernels.cpp)
