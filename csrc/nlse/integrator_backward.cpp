#include <algorithm>
#include <cmath>
#include <vector>

#include "nlse/adjoint.hpp"
#include "nlse/integrator.hpp"
#include "nlse/interruption.hpp"
#include "support/flush.hpp"
#include "support/isa.hpp"
#include "support/thread_pool.hpp"

namespace fourfold::nlse {

#define FOURFOLD_DECLARE_ADJOINT(level)                         \
    namespace level {                                           \
    extern const AdjointKernels<float> adjoint_kernels_float;   \
    extern const AdjointKernels<double> adjoint_kernels_double; \
    }
FOURFOLD_DECLARE_ADJOINT(baseline)
#if FOURFOLD_X86_LEVELS
FOURFOLD_DECLARE_ADJOINT(v3)
FOURFOLD_DECLARE_ADJOINT(v4)
#endif

template <>
const AdjointKernels<float>& adjoint_kernels<float>() {
#if FOURFOLD_X86_LEVELS
    if (isa::level() == isa::Level::v4) return v4::adjoint_kernels_float;
    if (isa::level() == isa::Level::v3) return v3::adjoint_kernels_float;
#endif
    return baseline::adjoint_kernels_float;
}
template <>
const AdjointKernels<double>& adjoint_kernels<double>() {
#if FOURFOLD_X86_LEVELS
    if (isa::level() == isa::Level::v4) return v4::adjoint_kernels_double;
    if (isa::level() == isa::Level::v3) return v3::adjoint_kernels_double;
#endif
    return baseline::adjoint_kernels_double;
}

namespace {

// A run of equal steps, or a part of it: see AdjointTask.
struct Stretch {
    double time, step;
    std::int64_t count, first, total;
};

// The steps of an interval, one stretch after the other.
struct Stretches {
    double origin;
    std::vector<Stretch> list;

    // More steps, in the stretch before where they are of the same size.
    static void append(void* context, double step, std::int64_t count) {
        auto& self = *static_cast<Stretches*>(context);
        if (self.list.empty() || self.list.back().step != step) {
            const double time = self.list.empty() ? self.origin : end(self.list.back());
            self.list.push_back({time, step, 0, 0, 0});
        }
        self.list.back().count += count;
        self.list.back().total += count;
    }
    static double end(const Stretch& s) { return s.time + static_cast<double>(s.count) * s.step; }
};

// Cuts stretches into segments of at most so many steps that checkpoints at their beginnings and the record of one of
// them take about the same memory: with m steps of s fields each, about 2 sqrt(m s) fields.
std::vector<Stretch> segments(const std::vector<Stretch>& stretches, int stages) {
    std::int64_t steps = 0;
    for (const Stretch& s : stretches) steps += s.count;
    const auto longest =
        static_cast<std::int64_t>(std::max(1.0, std::round(std::sqrt(static_cast<double>(steps) / stages))));
    std::vector<Stretch> cut;
    for (const Stretch& s : stretches) {
        for (std::int64_t done = 0; done < s.count; done += longest) {
            cut.push_back({s.time + static_cast<double>(done) * s.step, s.step, std::min(longest, s.count - done), done,
                           s.total});
        }
    }
    return cut;
}

template <class T>
T* grown(AlignedBuffer<T>& buffer, std::size_t count) {
    if (buffer.size() < count) buffer = AlignedBuffer<T>(count);
    return buffer.data();
}

double* row(double* base, std::size_t realisation, std::size_t size) {
    return base == nullptr ? nullptr : base + realisation * size;
}

template <class T>
SeriesSums row(const SeriesSums& base, std::size_t realisation, const InTime<T>* part) {
    if (part == nullptr) return {nullptr, nullptr};
    std::size_t pieces = 0;
    if (part->factors != nullptr) {
        for (std::size_t j = 0; j < part->terms; ++j) pieces += part->factors[j].pieces;
    }
    return {row(base.rows, realisation, part->terms * part->length), row(base.coefficients, realisation, 4 * pieces)};
}

}  // namespace

template <class T>
Sensitivities Integrator<T>::sums_of(const Sensitivities& all, std::size_t realisation) const {
    return {row(all.nonlinearity, realisation, 1),
            row(all.potential, realisation, plan_.n),
            row(all.loss, realisation, plan_.n),
            row(all.omega, realisation, plan_.n),
            row(all.nonlinearity_in_time, realisation, setup_.nonlinearity_in_time),
            row(all.potential_in_time, realisation, setup_.potential_in_time),
            row(all.loss_in_time, realisation, setup_.loss_in_time)};
}

template <class T>
Failure Integrator<T>::backward(const T* psi_start, const T* psi_end, T* lambda, double t0, double duration,
                                const double* first_steps, bool reversible, double tolerance, const Sensitivities& sums,
                                int threads, const std::function<bool()>& interrupted) {
    const std::lock_guard turn(mutex_);
    if (asks_functions_) threads = 1;
    const AdjointKernels<T>& adjoint = adjoint_kernels<T>();
    const std::size_t workers = static_cast<std::size_t>(std::max(threads, 1));
    // Adaptive steps are found by the forward kernels.
    while (options_.step <= 0 && workers_.size() < workers) workers_.emplace_back(needs_.worker);
    while (adjoint_workers_.size() < workers) adjoint_workers_.emplace_back(adjoint.worker(setup_));
    std::vector<AlignedBuffer<T>> records(workers), checkpoints(workers);
    const std::size_t size = 2 * plan_.n;

    Interruption interruption{interrupted};
    std::vector<Failure> failures(batch_, Failure{Status::ok, 0, t0, 0});
    const auto work = [&](std::size_t item, int worker) {
        Failure& failure = failures[item];
        failure.realisation = item;
        if (interruption.stop.load(std::memory_order_relaxed)) {
            failure.status = Status::cancelled;
            return;
        }
        const DenormalsAreZero mode(flushes());
        const CancelFlag cancel = interruption.flag(worker);
        const Medium<T> here = medium(item);
        const Sensitivities own = sums_of(sums, item);
        const T* start = psi_start + size * item;
        T* cotangent = lambda + size * item;
        T* scratch = adjoint_workers_[worker].data();
        Interval whole = interval(t0, t0 + duration, duration);
        if (reversible) {
            const double step = duration / static_cast<double>(whole.steps);
            const AdjointTask<T> task{&setup_, &here, &own, t0, step, whole.steps, 0, whole.steps, whole.steps};
            failure.status =
                adjoint.reverse(task, psi_end + size * item, start, cotangent, scratch, cancel, failure.error);
            if (failure.status == Status::ok && !(failure.error <= tolerance)) failure.status = Status::reconstruction;
            return;
        }
        // Which steps were taken: known, or found by taking them again.
        Stretches taken{t0, {}};
        std::vector<T> psi(start, start + size);
        std::int64_t unit = whole.steps;
        if (whole.steps > 0) {
            Stretches::append(&taken, duration / static_cast<double>(whole.steps), whole.steps);
        } else {
            unit = 2;
            whole.accepted = Stretches::append;
            whole.accepted_context = &taken;
            Progress progress{first_steps[item], 0, 0, 0, 0};
            failure.status = kernels<T>().advance(setup_, here, whole, progress, psi.data(), workers_[worker].data(),
                                                  nullptr, cancel);
            if (failure.status != Status::ok) return;
            std::copy(start, start + size, psi.begin());
        }
        const std::vector<Stretch> cuts = segments(taken.list, setup_.program.stages);
        const auto task_of = [&](const Stretch& s) {
            return AdjointTask<T>{&setup_, &here, &own, s.time, s.step, s.count, s.first, s.total, unit};
        };
        T* kept = grown(checkpoints[worker], size * cuts.size());
        std::int64_t longest = 0;
        for (std::size_t c = 0; c < cuts.size(); ++c) {
            std::copy(psi.begin(), psi.end(), kept + size * c);
            longest = std::max(longest, cuts[c].count);
            if (c + 1 == cuts.size()) break;
            failure.status = adjoint.replay(task_of(cuts[c]), psi.data(), scratch, cancel);
            if (failure.status != Status::ok) return;
        }
        T* record = grown(records[worker], adjoint.records(setup_, longest));
        for (std::size_t c = cuts.size(); c-- > 0;) {
            // Taken again, the steps round differently; a run that amplifies that ends elsewhere.
            const T* end = c + 1 == cuts.size() ? psi_end + size * item : nullptr;
            failure.status = adjoint.recorded(task_of(cuts[c]), kept + size * c, end, cotangent, record, scratch,
                                              cancel, failure.error);
            if (failure.status == Status::ok && !(failure.error <= tolerance)) failure.status = Status::reconstruction;
            if (failure.status != Status::ok) return;
        }
    };
    parallel_for(batch_, threads, work);
    for (const Failure& failure : failures) {
        if (failure.status == Status::cancelled) return failure;
    }
    for (const Failure& failure : failures) {
        if (failure.status != Status::ok) return failure;
    }
    return {Status::ok, 0, t0, 0};
}

// The class is instantiated where its other members are defined; these are the two defined here.
template Sensitivities Integrator<float>::sums_of(const Sensitivities&, std::size_t) const;
template Sensitivities Integrator<double>::sums_of(const Sensitivities&, std::size_t) const;
template Failure Integrator<float>::backward(const float*, const float*, float*, double, double, const double*, bool,
                                             double, const Sensitivities&, int, const std::function<bool()>&);
template Failure Integrator<double>::backward(const double*, const double*, double*, double, double, const double*,
                                              bool, double, const Sensitivities&, int, const std::function<bool()>&);

}  // namespace fourfold::nlse
