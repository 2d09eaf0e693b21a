// Filter, gradient and smoother of state_space.hpp as a GPU's threads do them, one series a thread. Internal linkage:
// included by GPU sources, and by tests that run them on the host.
//
// What is kept for the way back is the state after each observation: at the end of every segment on the way there, of
// all times of a segment on the way back. The state predicted from it is made again.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>

#include "gp/matern_steps.hpp"
#include "gp/state_space_call.hpp"
#include "gp/state_space_formula.hpp"

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

constexpr double kLargestNumber = std::numeric_limits<double>::max();
constexpr double kNoNumber = std::numeric_limits<double>::quiet_NaN();

// The matrices of the step to the time t, as state_space_call.hpp lays them out: zero between components.
FOURFOLD_INLINE void make_step(const GpuModel& model, const double* time, std::size_t t, double* steps) {
    const int d = model.size;
    double* row = steps + t * numbers_of_step(d);
    for (std::size_t i = 0; i < numbers_of_step(d); ++i) row[i] = 0;
    const double length = t == 0 ? 0.0 : time[t] - time[t - 1];
    int start = 0;
    for (int c = 0; c < model.components; ++c) {
        const double variance = model.variance[c], tau = model.rate[c] * length;
        const auto write = [&]<int Order>() {
            MaternStep step;
            matern_step(Order, tau, step);
            FOURFOLD_UNROLL(9)
            for (int k = 0; k < Order * Order; ++k) {
                double* entry = row + (start + k / Order) * d + start + k % Order;
                entry[kTransition * d * d] = step.transition[k];
                entry[kNoise * d * d] = variance * step.noise[k];
                entry[kTransitionByRate * d * d] = length * step.transition_slope[k];
                entry[kNoiseByRate * d * d] = length * variance * step.noise_slope[k];
            }
        };
        if (model.order[c] == 1) write.template operator()<1>();
        if (model.order[c] == 2) write.template operator()<2>();
        if (model.order[c] == 3) write.template operator()<3>();
        start += model.order[c];
    }
}

// The entries below the diagonal are those above it: the compiler then makes one half.
template <int D>
FOURFOLD_INLINE void mirror(double* matrix) {
    FOURFOLD_UNROLL(4)
    for (int i = 0; i < D; ++i) {
        FOURFOLD_UNROLL(4)
        for (int j = 0; j < i; ++j) matrix[i * D + j] = matrix[j * D + i];
    }
}

template <int D>
class SeriesThread {
public:
    FOURFOLD_INLINE SeriesThread(const GpuModel& model, const GpuSeries& all, std::size_t series)
        : model_(model), all_(all), series_(series) {}

    // To the end: true. Otherwise all_.reached and all_.predicted say where and why not.
    FOURFOLD_INLINE bool forward(double& log_likelihood) const {
        constexpr double log_2_pi = 1.8378770664093454836;
        Moments<D> state = initial();
        log_likelihood = 0;
        int left = all_.segment;
        std::size_t segment = 0;
        for (std::size_t t = 0; t < all_.count; ++t) {
            if (left == 0) {
                store(++segment, state);
                left = all_.segment;
            }
            --left;
            if (t > 0) advance(t, state);
            if (!observed(t)) continue;
            const double error = value(t) - observation<D>(model_.observes, state.mean);
            const double s = observe(t, state);
            if (!(s > 0) || !(s <= kLargestNumber)) return ended(t, s);
            log_likelihood -= 0.5 * (log_2_pi + std::log(s) + error * error / s);
        }
        return ended(all_.count, 0);
    }

    // From the last time to the first: at(t, before, adjoint) after what was observed there, step(t, earlier, adjoint)
    // before the step to t is undone. Returns the adjoint of the state before the first time.
    template <class At, class Step>
    FOURFOLD_INLINE Adjoint<D> backward(double& by_noise, At at, Step step) const {
        Adjoint<D> adjoint{};
        by_noise = 0;
        const std::size_t length = static_cast<std::size_t>(all_.segment);
        for (std::size_t segment = segments(all_.count, all_.segment); segment-- > 0;) {
            const std::size_t begin = segment * length;
            const std::size_t end = begin + length < all_.count ? begin + length : all_.count;
            again(segment, begin, end);
            for (std::size_t t = end; t-- > begin;) {
                Moments<D> earlier = before(segment, begin, t), predicted = earlier;
                if (t > 0) advance(t, predicted);
                if (observed(t)) {
                    double by_value, of_noise;
                    pass_observation<D>(model_.observes, value(t), all_.noise[t], predicted, adjoint, by_value,
                                        of_noise);
                    by_noise += of_noise;
                    mirror<D>(adjoint.covariance);
                    mirror<D>(adjoint.information);
                }
                at(t, predicted, adjoint);
                if (t == 0) break;
                step(t, earlier, adjoint);
                pass_transition<D>(matrix(t, kTransition), adjoint);
                mirror<D>(adjoint.covariance);
                mirror<D>(adjoint.information);
            }
        }
        return adjoint;
    }

    FOURFOLD_INLINE const double* matrix(std::size_t t, int which) const {
        return all_.steps + t * numbers_of_step(D) + which * D * D;
    }

private:
    FOURFOLD_INLINE Moments<D> initial() const {
        Moments<D> state{};
        FOURFOLD_UNROLL(16)
        for (int i = 0; i < D * D; ++i) state.covariance[i] = model_.initial[i];
        return state;
    }
    FOURFOLD_INLINE bool observed(std::size_t t) const { return all_.observed[t * all_.series + series_] != 0; }
    FOURFOLD_INLINE double value(std::size_t t) const { return all_.value[t * all_.series + series_]; }

    FOURFOLD_INLINE void advance(std::size_t t, Moments<D>& state) const {
        predict<D>(matrix(t, kTransition), matrix(t, kNoise), state);
        mirror<D>(state.covariance);
    }
    FOURFOLD_INLINE double observe(std::size_t t, Moments<D>& state) const {
        const double s = update<D>(model_.observes, value(t), all_.noise[t], state);
        mirror<D>(state.covariance);
        return s;
    }
    FOURFOLD_INLINE bool ended(std::size_t t, double s) const {
        all_.reached[series_] = static_cast<int>(t);
        all_.predicted[series_] = s;
        return t == all_.count;
    }

    // Row 0 is not used; then the state before each other segment; then those after the times of one segment but its
    // last.
    FOURFOLD_INLINE std::size_t row_in_segment(std::size_t place) const {
        return segments(all_.count, all_.segment) + place;
    }
    FOURFOLD_INLINE void store(std::size_t row, const Moments<D>& state) const {
        double* to = all_.kept + row * kNumbers * all_.series + series_;
        int k = 0;
        FOURFOLD_UNROLL(4)
        for (int i = 0; i < D; ++i) to[k++ * all_.series] = state.mean[i];
        FOURFOLD_UNROLL(4)
        for (int i = 0; i < D; ++i) {
            FOURFOLD_UNROLL(4)
            for (int j = i; j < D; ++j) to[k++ * all_.series] = state.covariance[i * D + j];
        }
    }
    FOURFOLD_INLINE Moments<D> load(std::size_t row) const {
        const double* from = all_.kept + row * kNumbers * all_.series + series_;
        Moments<D> state;
        int k = 0;
        FOURFOLD_UNROLL(4)
        for (int i = 0; i < D; ++i) state.mean[i] = from[k++ * all_.series];
        FOURFOLD_UNROLL(4)
        for (int i = 0; i < D; ++i) {
            FOURFOLD_UNROLL(4)
            for (int j = i; j < D; ++j) state.covariance[i * D + j] = from[k++ * all_.series];
        }
        mirror<D>(state.covariance);
        return state;
    }
    // The state after the time t - 1.
    FOURFOLD_INLINE Moments<D> before(std::size_t segment, std::size_t begin, std::size_t t) const {
        if (t == 0) return initial();
        return load(t == begin ? segment : row_in_segment(t - begin - 1));
    }
    FOURFOLD_INLINE void again(std::size_t segment, std::size_t begin, std::size_t end) const {
        Moments<D> state = before(segment, begin, begin);
        for (std::size_t t = begin; t + 1 < end; ++t) {
            if (t > 0) advance(t, state);
            if (observed(t)) observe(t, state);
            store(row_in_segment(t - begin), state);
        }
    }

    static constexpr std::size_t kNumbers = numbers_of_state(D);
    const GpuModel& model_;
    const GpuSeries& all_;
    std::size_t series_;
};

template <int D>
FOURFOLD_INLINE void likelihood_of(const GpuModel& model, const GpuSeries& all, std::size_t series,
                                   const GpuLikelihood& out) {
    const SeriesThread<D> thread(model, all, series);
    double value, by_noise = kNoNumber, by_rate[D], by_variance[D];
    FOURFOLD_UNROLL(4)
    for (int i = 0; i < D; ++i) by_rate[i] = by_variance[i] = 0;
    if (thread.forward(value)) {
        const auto step = [&](std::size_t t, const Moments<D>& earlier, const Adjoint<D>& adjoint) {
            double by_transition[D * D];
            pull_transition<D>(thread.matrix(t, kTransition), earlier, adjoint, by_transition);
            const double *noise = thread.matrix(t, kNoise), *noise_by_rate = thread.matrix(t, kNoiseByRate),
                         *transition_by_rate = thread.matrix(t, kTransitionByRate);
            FOURFOLD_UNROLL(4)
            for (int i = 0; i < D; ++i) {
                FOURFOLD_UNROLL(4)
                for (int j = 0; j < D; ++j) {
                    const int k = i * D + j;
                    const double by_a = 2 * by_transition[k] + adjoint.mean[i] * earlier.mean[j];
                    by_rate[i] += by_a * transition_by_rate[k] + adjoint.covariance[k] * noise_by_rate[k];
                    by_variance[i] += adjoint.covariance[k] * noise[k];
                }
            }
        };
        const Adjoint<D> first =
            thread.backward(by_noise, [](std::size_t, const Moments<D>&, const Adjoint<D>&) {}, step);
        FOURFOLD_UNROLL(4)
        for (int i = 0; i < D; ++i) {
            FOURFOLD_UNROLL(4)
            for (int j = 0; j < D; ++j) by_variance[i] += first.covariance[i * D + j] * model.initial[i * D + j];
        }
    } else {
        value = kNoNumber;
        FOURFOLD_UNROLL(4)
        for (int i = 0; i < D; ++i) by_rate[i] = by_variance[i] = kNoNumber;
    }
    out.log_likelihood[series] = value;
    out.by_noise[series] = by_noise;
    FOURFOLD_UNROLL(4)
    for (int i = 0; i < D; ++i) {
        out.by_rate[i * all.series + series] = by_rate[i];
        out.by_log_variance[i * all.series + series] = by_variance[i];
    }
}

template <int D>
FOURFOLD_INLINE void posterior_of(const GpuModel& model, const GpuSeries& all, std::size_t series,
                                  const GpuPosterior& out) {
    const SeriesThread<D> thread(model, all, series);
    const auto write = [&](std::size_t t, double mean, double variance) {
        const std::size_t at = static_cast<std::size_t>(out.place[t]) * all.series + series;
        out.mean[at] = mean;
        out.variance[at] = variance;
    };
    double value, by_noise;
    if (!thread.forward(value)) {
        for (std::size_t t = 0; t < all.count; ++t) {
            if (out.place[t] >= 0) write(t, kNoNumber, kNoNumber);
        }
        return;
    }
    const auto at = [&](std::size_t t, const Moments<D>& before, const Adjoint<D>& adjoint) {
        if (out.place[t] < 0) return;
        double mean, variance;
        smooth<D>(model.observes, before, adjoint, mean, variance);
        write(t, mean, variance);
    };
    thread.backward(by_noise, at, [](std::size_t, const Moments<D>&, const Adjoint<D>&) {});
}

}  // namespace
}  // namespace fourfold::gp::FOURFOLD_LEVEL
