fourfold_add_cuda(csrc/kan/rational_forward.cu csrc/kan/rational_backward.cu)
