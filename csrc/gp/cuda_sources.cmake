fourfold_add_cuda(csrc/gp/small_system.cu csrc/gp/covariance.cu csrc/gp/state_space.cu)
