fourfold_add_cuda(csrc/kan/rational_forward.cu csrc/kan/rational_backward.cu csrc/kan/basis_functions.cu
                  csrc/kan/basis_splines.cu)
