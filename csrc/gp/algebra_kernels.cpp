// Compiled once per ISA level. Only the tables at the end are visible outside.
#include "gp/algebra.hpp"
#include "gp/durbin.hpp"
#include "gp/eigh_lanes.hpp"
#include "gp/eigh_one.hpp"
#include "gp/gemm.hpp"
#include "gp/panels.hpp"
#include "gp/spectral_kernels.hpp"
#include "gp/tridiagonal.hpp"

namespace fourfold::gp::FOURFOLD_LEVEL {

extern const AlgebraKernels<float> algebra_float;
extern const AlgebraKernels<double> algebra_double;
extern const EighKernel eigh_double;
extern const EighLanesKernel eigh_lanes_double;
extern const DurbinKernel durbin_double;
const AlgebraKernels<float> algebra_float{kLanes<float>,          kVectors * kLanes<float>, gemm<float>,
                                          product_columns<float>, solve_columns<float>,     spectral_sums<float>,
                                          spectral_divide<float>};
const AlgebraKernels<double> algebra_double{kLanes<double>,          kVectors * kLanes<double>, gemm<double>,
                                            product_columns<double>, solve_columns<double>,     spectral_sums<double>,
                                            spectral_divide<double>};
const EighKernel eigh_double = eigh;
const EighLanesKernel eigh_lanes_double{kMatrices, lanes_work_count, eigh_lanes};
const DurbinKernel durbin_double = durbin;

}  // namespace fourfold::gp::FOURFOLD_LEVEL
