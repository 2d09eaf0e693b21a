fourfold_add_cuda(csrc/pc/codec.cu csrc/pc/em.cu csrc/pc/likelihood.cu)
