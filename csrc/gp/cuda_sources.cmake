fourfold_add_cuda(csrc/gp/small_system.cu)
