// Compiled once per ISA level. Only the table at the end is visible outside.
#include "gp/funbat_smoother.hpp"
#include "gp/funbat_sums.hpp"

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

Size smooth(const Chain& chain, const ChainResults& results, double* scratch) {
    return Smoother(chain, scratch).run(results);
}

}  // namespace

extern const FunbatKernels funbat_kernels;
const FunbatKernels funbat_kernels{smooth, sum_time, evaluate_point, row_times_rows, column_times_columns, invert};

}  // namespace fourfold::gp::FOURFOLD_LEVEL
