target_sources(fourfold_core PRIVATE csrc/nlse/integrator.cpp csrc/nlse/integrator_backward.cpp csrc/nlse/ordinal.cpp
                                     csrc/nlse/schemes.cpp)
fourfold_add_kernels(csrc/nlse/kernels.cpp csrc/nlse/adjoint_kernels.cpp csrc/nlse/ordinal_kernels.cpp)
