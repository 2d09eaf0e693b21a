// What all realisations of one run share, and the table of functions that each ISA level offers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "nlse/nlse.hpp"
#include "nlse/schemes.hpp"

namespace fourfold::nlse {

enum class Method : int { splitting, rk4ip, etdrk4, dop853, published };

template <class T>
struct Setup {
    const FftPlan<T>* plan;
    Method method;
    SplittingProgram program;  // for splitting
    int order;                 // that the method has on this problem
    const double* omega;       // [n], in the plan's order
    const T* filter;           // [n], in the plan's order, or null
    double t_end;              // published: the end of the whole run
    bool lossy;                // some realisation has loss
    // What changes in time; null: nothing of that kind does, and the medium holds it.
    const InTime<T>* nonlinearity_in_time;
    const InTime<T>* potential_in_time;
    const InTime<T>* loss_in_time;
};

// The memory of one worker and, for methods that keep state, of one realisation; in numbers of T.
struct MemoryNeeds {
    std::size_t worker, realisation;
};

template <class T>
struct Kernels {
    int (*lanes)(std::size_t n);  // the lane count to plan for
    MemoryNeeds (*memory)(const Setup<T>&);
    // Advances psi[2 n] (interleaved) over the interval. `worker` memory starts zeroed and is kept between calls: it
    // caches tables. `realisation` memory starts zeroed and follows its realisation.
    Status (*advance)(const Setup<T>&, const Medium<T>&, const Interval&, Progress&, T* psi, T* worker, T* realisation,
                      CancelFlag);
    FieldOps<T> (*ops)(int lanes);
    // out[2 n] = the unscaled transform (or inverse transform) of in[2 n], both interleaved in natural order; work[2
    // n].
    void (*transform)(const FftPlan<T>&, const T* in, T* out, T* work, bool inverse);
};

template <class T>
const Kernels<T>& kernels();  // of the ISA level in use

}  // namespace fourfold::nlse
