fourfold_add_cuda(csrc/pc/codec.cu csrc/pc/likelihood.cu)
