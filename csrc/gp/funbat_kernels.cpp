// Compiled once per ISA level. Only the table at the end is visible outside.
#include "gp/funbat_smoother.hpp"
#include "gp/funbat_sums.hpp"

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

// Loops of known length for ranks up to `Rank`, of unknown length beyond.
template <int Order, int Rank>
Size smooth_of(const Chain& chain, const ChainResults& results, double* scratch) {
    if constexpr (Rank == 0) {
        return Smoother<0, 0>(chain, scratch).run(results);
    } else {
        if (chain.rank == Rank) return Smoother<Rank, Order>(chain, scratch).run(results);
        return smooth_of<Order, Rank - 1>(chain, results, scratch);
    }
}

// Those of most models: each costs a second of compiling at every level.
Size smooth(const Chain& chain, const ChainResults& results, double* scratch) {
    if (chain.order == 2) return smooth_of<2, 6>(chain, results, scratch);
    if (chain.order == 3) return smooth_of<3, 3>(chain, results, scratch);
    return smooth_of<1, 0>(chain, results, scratch);
}

}  // namespace

extern const FunbatKernels funbat_kernels;
const FunbatKernels funbat_kernels{smooth, sum_time, evaluate_point, row_times_rows, column_times_columns, invert};

}  // namespace fourfold::gp::FOURFOLD_LEVEL
