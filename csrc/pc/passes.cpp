#include "pc/passes.hpp"

#include "support/isa.hpp"

namespace fourfold::pc {

#define FOURFOLD_DECLARE(level)                  \
    namespace level {                            \
    extern const PassKernels pass_kernels_table; \
    }
FOURFOLD_DECLARE(baseline)
#if FOURFOLD_X86_LEVELS
FOURFOLD_DECLARE(v3)
FOURFOLD_DECLARE(v4)
#endif
#undef FOURFOLD_DECLARE

const PassKernels& pass_kernels() {
#if FOURFOLD_X86_LEVELS
    if (isa::level() == isa::Level::v4) return v4::pass_kernels_table;
    if (isa::level() == isa::Level::v3) return v3::pass_kernels_table;
#endif
    return baseline::pass_kernels_table;
}

}  // namespace fourfold::pc
