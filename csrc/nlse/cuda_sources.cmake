fourfold_add_cuda(csrc/nlse/ensemble.cu)
