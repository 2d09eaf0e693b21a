fourfold_add_cuda(csrc/nlse/ensemble.cu csrc/nlse/ensemble_adaptive.cu csrc/nlse/ensemble_adjoint.cu
                  csrc/nlse/field_flows.cu)
