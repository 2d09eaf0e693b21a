#include "nlse/integrator.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "nlse/fixed_steps.hpp"
#include "nlse/interruption.hpp"
#include "support/flush.hpp"
#include "support/isa.hpp"
#include "support/thread_pool.hpp"

namespace fourfold::nlse {

#define FOURFOLD_DECLARE_KERNELS(level)          \
    namespace level {                            \
    extern const Kernels<float> kernels_float;   \
    extern const Kernels<double> kernels_double; \
    }
FOURFOLD_DECLARE_KERNELS(baseline)
#if FOURFOLD_X86_LEVELS
FOURFOLD_DECLARE_KERNELS(v3)
FOURFOLD_DECLARE_KERNELS(v4)
#endif

template <>
const Kernels<float>& kernels<float>() {
#if FOURFOLD_X86_LEVELS
    if (isa::level() == isa::Level::v4) return v4::kernels_float;
    if (isa::level() == isa::Level::v3) return v3::kernels_float;
#endif
    return baseline::kernels_float;
}
template <>
const Kernels<double>& kernels<double>() {
#if FOURFOLD_X86_LEVELS
    if (isa::level() == isa::Level::v4) return v4::kernels_double;
    if (isa::level() == isa::Level::v3) return v3::kernels_double;
#endif
    return baseline::kernels_double;
}

namespace {

// The published solver never takes a longer step.
constexpr double kPublishedMaxStep = 0.1;

Method method_of(const std::string& name) {
    if (name == "rk4ip") return Method::rk4ip;
    if (name == "etdrk4") return Method::etdrk4;
    if (name == "dop853") return Method::dop853;
    if (name == "published") return Method::published;
    return Method::splitting;
}

template <class T>
AlignedBuffer<T> converted(const double* from, std::size_t count) {
    AlignedBuffer<T> to(from == nullptr ? 0 : count);
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<T>(from[i]);
    return to;
}

}  // namespace

template <class T>
Integrator<T>::Integrator(std::size_t n, std::size_t batch, const Options& options, const Coefficients& given)
    : plan_(n, kernels<T>().lanes(n)),
      options_(options),
      batch_(batch),
      omega_(n),
      filter_(given.filter == nullptr ? 0 : n),
      nonlinearity_(converted<T>(given.nonlinearity, given.shared_nonlinearity ? 1 : batch)),
      potential_(converted<T>(given.potential, given.shared_potential ? n : batch * n)),
      loss_(converted<T>(given.loss, given.shared_loss ? n : batch * n)),
      shared_nonlinearity_(given.shared_nonlinearity),
      shared_potential_(given.shared_potential),
      shared_loss_(given.shared_loss),
      progress_(batch) {
    for (std::size_t i = 0; i < n; ++i) {
        omega_[i] = given.omega[plan_.index[i]];
        if (given.filter != nullptr) filter_[i] = static_cast<T>(given.filter[plan_.index[i]]);
    }
    setup_.plan = &plan_;
    setup_.method = method_of(options.method);
    setup_.program = setup_.method == Method::splitting ? splitting_program(options.method) : SplittingProgram{};
    setup_.order = options.order;
    setup_.omega = omega_.data();
    setup_.filter = filter_.size() == 0 ? nullptr : filter_.data();
    setup_.t_end = options.t_end;
    setup_.lossy = loss_.size() != 0;
    setup_.nonlinearity_in_time = setup_.potential_in_time = setup_.loss_in_time = nullptr;
    needs_ = kernels<T>().memory(setup_);
    states_ = AlignedBuffer<T>(batch * needs_.realisation);
}

template <class T>
Medium<T> Integrator<T>::medium(std::size_t realisation) const {
    const auto at = [&](const AlignedBuffer<T>& values, bool shared) -> const T* {
        if (values.size() == 0) return nullptr;
        return values.data() + (shared ? 0 : realisation * plan_.n);
    };
    return {nonlinearity_[shared_nonlinearity_ ? 0 : realisation], at(potential_, shared_potential_),
            at(loss_, shared_loss_), realisation};
}

template <class T>
void Integrator<T>::vary(Part part, Variation given) {
    auto varying = std::make_unique<Varying>();
    const std::size_t length = part == Part::nonlinearity ? 1 : plan_.n;
    const std::size_t term = (given.shared ? 1 : batch_) * length;
    varying->rows = converted<T>(given.terms == 0 ? nullptr : given.rows, given.terms * term);
    if (given.pieces != nullptr) {
        std::int64_t sum = 0;
        for (std::size_t j = 0; j < given.terms; ++j) sum += given.pieces[j];
        varying->knots.assign(given.knots, given.knots + sum);
        varying->coefficients.assign(given.coefficients, given.coefficients + 4 * sum);
        std::size_t at = 0;
        for (std::size_t j = 0; j < given.terms; ++j) {
            const auto pieces = static_cast<std::size_t>(given.pieces[j]);
            varying->factors.push_back({varying->knots.data() + at, varying->coefficients.data() + 4 * at, pieces});
            at += pieces;
        }
    }
    varying->function = std::move(given.function);
    if (varying->function) asks_functions_ = true;
    const TimeFunction call{[](void* context, double time, double* out, std::size_t count) {
                                static_cast<Varying*>(context)->function(time, out, count);
                            },
                            varying.get()};
    varying->in_time = {length,
                        given.terms,
                        varying->rows.data(),
                        term,
                        given.shared ? 0 : length,
                        varying->factors.empty() ? nullptr : varying->factors.data(),
                        call};
    const InTime<T>* in_time = &varying->in_time;
    varying_[static_cast<int>(part)] = std::move(varying);
    if (part == Part::nonlinearity) setup_.nonlinearity_in_time = in_time;
    if (part == Part::potential) setup_.potential_in_time = in_time;
    if (part == Part::loss) setup_.loss_in_time = in_time;
    needs_ = kernels<T>().memory(setup_);
    states_ = AlignedBuffer<T>(batch_ * needs_.realisation);
}

template <class T>
double Integrator<T>::duration(double t0, double t1) {
    duration_ = kept_duration(duration_, t0, t1);
    return duration_;
}

template <class T>
Interval Integrator<T>::interval(double t0, double t1, double duration) const {
    Interval stretch{};
    stretch.rtol = options_.rtol;
    stretch.atol = options_.atol;
    if (setup_.method == Method::published) {
        stretch.t0 = t0;
        stretch.t1 = t1;
        stretch.max_step = kPublishedMaxStep;
        return stretch;
    }
    stretch.origin = t0;
    stretch.t1 = duration;
    stretch.max_step = std::numeric_limits<double>::infinity();
    stretch.min_step = smallest_step(t0, t1, options_.t_end - options_.t_start);
    if (options_.step > 0) stretch.steps = fixed_steps(duration, options_.step);
    return stretch;
}

template <class T>
Failure Integrator<T>::advance(T* psi, double t0, double t1, int threads, const std::function<bool()>& interrupted) {
    const std::lock_guard turn(mutex_);
    if (asks_functions_) threads = 1;
    const Interval stretch = interval(t0, t1, duration(t0, t1));
    while (workers_.size() < static_cast<std::size_t>(std::max(threads, 1))) {
        workers_.emplace_back(needs_.worker);
    }

    Interruption interruption{interrupted};
    std::vector<Status> status(batch_, Status::ok);
    const auto work = [&](std::size_t item, int worker) {
        if (interruption.stop.load(std::memory_order_relaxed)) {
            status[item] = Status::cancelled;
            return;
        }
        const DenormalsAreZero mode(flushes());
        status[item] = kernels<T>().advance(setup_, medium(item), stretch, progress_[item], psi + 2 * plan_.n * item,
                                            workers_[worker].data(), states_.data() + needs_.realisation * item,
                                            interruption.flag(worker));
    };
    parallel_for(batch_, threads, work);

    for (std::size_t i = 0; i < batch_; ++i) {
        if (status[i] == Status::cancelled) return {Status::cancelled, i, stretch.origin + progress_[i].time, 0};
    }
    for (std::size_t i = 0; i < batch_; ++i) {
        if (status[i] != Status::ok) return {status[i], i, stretch.origin + progress_[i].time, 0};
    }
    return {Status::ok, 0, t1, 0};
}

template <class T>
Counters Integrator<T>::counters() const {
    Counters sum;
    for (const Progress& one : progress_) {
        sum.steps += one.steps;
        sum.rejected += one.rejected;
        sum.transforms += one.transforms;
    }
    if (!progress_.empty()) sum.last_step = progress_.back().step;
    return sum;
}

template <class T>
double Integrator<T>::control(double* next_steps) const {
    for (std::size_t i = 0; i < batch_; ++i) next_steps[i] = progress_[i].step;
    return duration_;
}

template <class T>
void Integrator<T>::restore_control(double duration, const double* next_steps) {
    for (std::size_t i = 0; i < batch_; ++i) progress_[i].step = next_steps[i];
    duration_ = duration;
}

template class Integrator<float>;
template class Integrator<double>;

}  // namespace fourfold::nlse
