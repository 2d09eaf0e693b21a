// Which ISA level's kernels are used.
#include "gp/algebra.hpp"
#include "support/isa.hpp"

#if FOURFOLD_X86_LEVELS
#define FOURFOLD_GP_LEVELS(DECLARE) DECLARE(baseline) DECLARE(v3) DECLARE(v4)
#else
#define FOURFOLD_GP_LEVELS(DECLARE) DECLARE(baseline)
#endif
#define FOURFOLD_GP_DECLARE(level)                      \
    namespace level {                                   \
    extern const AlgebraKernels<float> algebra_float;   \
    extern const AlgebraKernels<double> algebra_double; \
    extern const EighKernel eigh_double;                \
    extern const EighLanesKernel eigh_lanes_double;     \
    extern const DurbinKernel durbin_double;            \
    }

namespace fourfold::gp {

FOURFOLD_GP_LEVELS(FOURFOLD_GP_DECLARE)

#if FOURFOLD_X86_LEVELS
#define FOURFOLD_GP_CHOOSE(name)                         \
    if (isa::level() == isa::Level::v4) return v4::name; \
    if (isa::level() == isa::Level::v3) return v3::name; \
    return baseline::name
#else
#define FOURFOLD_GP_CHOOSE(name) return baseline::name
#endif

template <>
const AlgebraKernels<float>& algebra_kernels<float>() {
    FOURFOLD_GP_CHOOSE(algebra_float);
}
template <>
const AlgebraKernels<double>& algebra_kernels<double>() {
    FOURFOLD_GP_CHOOSE(algebra_double);
}
const EighLanesKernel& eigh_lanes_kernel() { FOURFOLD_GP_CHOOSE(eigh_lanes_double); }
EighKernel eigh_kernel() { FOURFOLD_GP_CHOOSE(eigh_double); }
DurbinKernel durbin_kernel() { FOURFOLD_GP_CHOOSE(durbin_double); }

}  // namespace fourfold::gp
