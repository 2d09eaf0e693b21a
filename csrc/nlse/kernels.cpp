// Compiled once per ISA level. Only the two function tables at the end are visible outside.
#include "nlse/published.hpp"
#include "nlse/runge_kutta.hpp"
#include "nlse/setup.hpp"
#include "nlse/splitting.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

template <class T>
constexpr int widest() {
    return static_cast<int>(kDoubleLanes * sizeof(double) / sizeof(T));
}

template <class T>
int lanes_for(std::size_t n) {
    int lanes = widest<T>();
    while (n % (static_cast<std::size_t>(lanes) * lanes) != 0) lanes /= 2;
    return lanes;
}

// Calls f.template operator()<V>() for the plan's lane count.
template <class T, int V, class F>
FOURFOLD_INLINE auto with_lanes(int lanes, F f) {
    if constexpr (V > 1) {
        if (lanes != V) return with_lanes<T, V / 2>(lanes, f);
    }
    return f.template operator()<V>();
}

// Every memory block begins with a header for keys and counters, a whole number of cache lines long.
template <class T>
inline constexpr std::size_t kHeader = 256 / sizeof(T);

// Worker memory: header | field [2][stride] | what the medium in time needs | what the method needs. The header caches
// which step the tables are for.
template <class T>
T* field_of(T* worker) {
    return worker + kHeader<T>;
}
template <class T>
T* medium_of(T* worker, std::size_t n) {
    return field_of(worker) + 2 * array_stride<T>(n);
}
template <class T>
T* rest_of(const Setup<T>& setup, T* worker) {
    return medium_of(worker, setup.plan->n) + medium_scratch_count(setup);
}

template <class T>
std::size_t splitting_table_count(const Setup<T>& setup) {
    const std::size_t slots = setup.program.kinetic_slots + (setup.lossy ? setup.program.potential_slots : 0);
    return 2 * slots * setup.plan->n;
}

template <class T>
MemoryNeeds memory_needs(const Setup<T>& setup) {
    const std::size_t n = setup.plan->n;
    const std::size_t common = kHeader<T> + 2 * array_stride<T>(n) + medium_scratch_count(setup);
    switch (setup.method) {
        case Method::splitting: return {common + 4 * n + 2 * splitting_table_count(setup), 0};
        case Method::published:
            return {common + published_scratch_count<T>(n), kHeader<T> + published_state_count<T>(n)};
        default: return {common + scratch_count<T>(setup.method, n), 0};
    }
}

template <class T>
Status advance_splitting(const Setup<T>& setup, MediumInTime<T>& medium, const Interval& interval, Progress& progress,
                         T* psi, T* worker, CancelFlag cancel) {
    const std::size_t n = setup.plan->n;
    auto* tables = reinterpret_cast<SplittingTables<T>*>(worker);
    static_assert(2 * sizeof(SplittingTables<T>) <= kHeader<T> * sizeof(T));
    T* field = field_of(worker);
    T* spare = rest_of(setup, worker);
    T* next = spare + 4 * n;
    for (int i = 0; i < 2; ++i) {
        tables[i].kinetic = next;
        tables[i].potential = next + 2 * n * setup.program.kinetic_slots;
        next += splitting_table_count(setup);
    }
    split(psi, field, field + n, n);
    const Status status = with_lanes<T, widest<T>()>(setup.plan->lanes, [&]<int V>() {
        if (interval.steps == 0) {
            return adaptive_splitting<T, V>(setup, medium, interval, progress, tables, field, spare, spare + 2 * n,
                                            cancel);
        }
        const double step = (interval.t1 - interval.t0) / static_cast<double>(interval.steps);
        const std::int64_t before = progress.steps;
        const Status s = Splitting<T, V>(setup, medium, field, field + n)
                             .steps(tables[0], interval.origin + interval.t0, step, interval.steps, progress, cancel);
        progress.step = step;
        progress.time =
            s == Status::ok ? interval.t1 : interval.t0 + step * static_cast<double>(progress.steps - before);
        return s;
    });
    interleave(field, field + n, psi, n);
    return status;
}

template <class T>
FieldOps<T> ops_for(int lanes) {
    return with_lanes<T, widest<T>()>(lanes, []<int V>() { return field_ops<T, V>(); });
}

// psi -> coefficients fft/n, and back
template <class T>
void to_coefficients(const Setup<T>& setup, const FieldOps<T>& ops, const T* psi, T* re, T* im) {
    const std::size_t n = setup.plan->n;
    split(psi, re, im, n);
    ops.forward(*setup.plan, re, im);
    // Divided, not multiplied by a rounded 1/n, whose error would be the same at every call.
    const T count = static_cast<T>(n);
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) {
        re[i] /= count;
        im[i] /= count;
    }
}
template <class T>
void from_coefficients(const Setup<T>& setup, const FieldOps<T>& ops, T* re, T* im, T* psi) {
    ops.inverse(*setup.plan, re, im);
    interleave(re, im, psi, setup.plan->n);
}

template <class T>
Status advance_runge_kutta(const Setup<T>& setup, const FieldOps<T>& ops, MediumInTime<T>& medium,
                           const Interval& interval, Progress& progress, T* psi, T* worker, CancelFlag cancel) {
    const std::size_t n = setup.plan->n;
    auto* workspace = reinterpret_cast<RungeKuttaWorkspace<T>*>(worker);
    workspace->scratch = rest_of(setup, worker);
    T* re = field_of(worker);
    T* im = re + array_stride<T>(n);
    to_coefficients(setup, ops, psi, re, im);
    const Status status = run_runge_kutta(setup.method, *setup.plan, ops, medium, setup.omega, setup.filter, interval,
                                          progress, re, im, *workspace, cancel);
    from_coefficients(setup, ops, re, im, psi);
    return status;
}

// The published scheme walks on from where it was, whatever is in psi after the first call.
template <class T>
Status advance_published(const Setup<T>& setup, const FieldOps<T>& ops, MediumInTime<T>& medium,
                         const Interval& interval, Progress& progress, T* psi, T* worker, T* realisation,
                         CancelFlag cancel) {
    const std::size_t n = setup.plan->n;
    auto* state = reinterpret_cast<PublishedState<T>*>(realisation);
    static_assert(sizeof(PublishedState<T>) <= kHeader<T> * sizeof(T));
    T* scratch = rest_of(setup, worker);
    T* re = field_of(worker);
    T* im = re + array_stride<T>(n);
    if (state->fields == nullptr) {
        state->fields = realisation + kHeader<T>;
        to_coefficients(setup, ops, psi, re, im);
        published_start(*setup.plan, ops, medium, setup.omega, setup.filter, interval.t0, setup.t_end, interval.rtol,
                        interval.atol, interval.max_step, re, im, *state, scratch, progress);
    }
    const Status status = published_advance(*setup.plan, ops, medium, setup.omega, setup.filter, interval.t1, *state,
                                            scratch, re, im, progress, cancel);
    from_coefficients(setup, ops, re, im, psi);
    return status;
}

template <class T>
Status advance(const Setup<T>& setup, const Medium<T>& constant, const Interval& interval, Progress& progress, T* psi,
               T* worker, T* realisation, CancelFlag cancel) {
    progress.time = interval.t0;
    MediumInTime<T> medium(setup, constant, medium_of(worker, setup.plan->n));
    if (setup.method == Method::splitting) {
        return advance_splitting(setup, medium, interval, progress, psi, worker, cancel);
    }
    const FieldOps<T> ops = ops_for<T>(setup.plan->lanes);
    if (setup.method == Method::published) {
        return advance_published(setup, ops, medium, interval, progress, psi, worker, realisation, cancel);
    }
    return advance_runge_kutta(setup, ops, medium, interval, progress, psi, worker, cancel);
}

template <class T>
void transform(const FftPlan<T>& plan, const T* in, T* out, T* work, bool inverse) {
    const std::size_t n = plan.n;
    const std::int64_t* index = plan.index.data();
    T* re = work;
    T* im = work + n;
    with_lanes<T, widest<T>()>(plan.lanes, [&]<int V>() {
        if (inverse) {
            for (std::size_t i = 0; i < n; ++i) {
                re[i] = in[2 * index[i]];
                im[i] = in[2 * index[i] + 1];
            }
            inverse_transform<T, V>(plan, re, im);
            interleave(re, im, out, n);
        } else {
            split(in, re, im, n);
            forward_transform<T, V>(plan, re, im);
            for (std::size_t i = 0; i < n; ++i) {
                out[2 * index[i]] = re[i];
                out[2 * index[i] + 1] = im[i];
            }
        }
    });
}

template <class T>
constexpr Kernels<T> table() {
    return {lanes_for<T>, memory_needs<T>, advance<T>, ops_for<T>, transform<T>};
}

}  // namespace

extern const Kernels<float> kernels_float;
extern const Kernels<double> kernels_double;
const Kernels<float> kernels_float = table<float>();
const Kernels<double> kernels_double = table<double>();

}  // namespace fourfold::nlse::FOURFOLD_LEVEL
