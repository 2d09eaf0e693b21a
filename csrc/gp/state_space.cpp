#include "gp/state_space.hpp"

#include <cmath>
#include <cstring>

#include "gp/matern_steps.hpp"
#include "gp/state_space_formula.hpp"

namespace fourfold::gp {

namespace {

constexpr double kLog2Pi = 1.8378770664093454836;

int state_size(const StateSpaceModel& model) {
    int size = 0;
    for (int c = 0; c < model.components; ++c) size += model.order[c];
    return size;
}

template <int D>
struct Step {
    double length = -1;  // what it was made for
    double transition[D * D], noise[D * D];
    MaternStep part[D];
};

template <int D>
class Filter {
public:
    Filter(const StateSpaceModel& model, const Series& series) : model_(model), series_(series) {
        int at = 0;
        for (int c = 0; c < model.components; ++c) {
            start_[c] = at;
            observes_[at] = 1;
            at += model.order[c];
        }
    }

    // Forward in time. predicted[t], if not null, is the state before the observation at t.
    Reached forward(double& log_likelihood, Moments<D>* predicted) {
        Moments<D> state{};
        each_entry([&](int c, int i, int j, int k) {
            state.covariance[i * D + j] = model_.variance[c] * stationary_covariance(model_.order[c])[k];
        });
        log_likelihood = 0;
        for (std::size_t t = 0; t < series_.count; ++t) {
            if (t > 0) {
                const Step<D>& s = step(series_.time[t] - series_.time[t - 1]);
                predict<D>(s.transition, s.noise, state);
            }
            if (predicted != nullptr) predicted[t] = state;
            if (!series_.observed[t]) continue;
            const double error = series_.value[t] - observation<D>(observes_, state.mean);
            const double s = update<D>(observes_, series_.value[t], series_.noise[t], state);
            if (!(s > 0) || !std::isfinite(s)) return {t, s};
            log_likelihood -= 0.5 * (kLog2Pi + std::log(s) + error * error / s);
        }
        return {series_.count, 0};
    }

    // Backward in time: the adjoint of `forward`, and the smoother.
    void backward(const Moments<D>* predicted, const StateSpaceResults& out) {
        Adjoint<D> adjoint{};
        for (int c = 0; c < model_.components; ++c) {
            if (out.by_rate != nullptr) out.by_rate[c] = 0;
            if (out.by_variance != nullptr) out.by_variance[c] = 0;
        }
        for (std::size_t t = series_.count; t-- > 0;) {
            const Moments<D>& before = predicted[t];
            double by_value = 0, by_noise = 0;
            if (series_.observed[t]) {
                pass_observation<D>(observes_, series_.value[t], series_.noise[t], before, adjoint, by_value, by_noise);
            }
            if (out.by_value != nullptr) out.by_value[t] = by_value;
            if (out.by_noise != nullptr) out.by_noise[t] = by_noise;
            if (out.mean != nullptr || out.deviation2 != nullptr) {
                double mean, variance;
                smooth<D>(observes_, before, adjoint, mean, variance);
                if (out.mean != nullptr) out.mean[t] = mean;
                if (out.deviation2 != nullptr) out.deviation2[t] = variance;
            }
            if (t == 0) break;
            Moments<D> earlier = predicted[t - 1];
            if (series_.observed[t - 1]) {
                update<D>(observes_, series_.value[t - 1], series_.noise[t - 1], earlier);
            }
            pass_step(earlier, series_.time[t] - series_.time[t - 1], adjoint, out);
        }
        if (series_.count > 0 && out.by_variance != nullptr) {
            each_entry([&](int c, int i, int j, int k) {
                out.by_variance[c] += adjoint.covariance[i * D + j] * stationary_covariance(model_.order[c])[k];
            });
        }
    }

private:
    // f(component, row, column, entry of the component's own matrix) over the blocks on the diagonal.
    template <class F>
    void each_entry(F f) const {
        for (int c = 0; c < model_.components; ++c) {
            const int p = model_.order[c];
            for (int i = 0; i < p; ++i) {
                for (int j = 0; j < p; ++j) f(c, start_[c] + i, start_[c] + j, i * p + j);
            }
        }
    }

    const Step<D>& step(double length) {
        if (length == step_.length) return step_;
        step_.length = length;
        std::memset(step_.transition, 0, sizeof step_.transition);
        std::memset(step_.noise, 0, sizeof step_.noise);
        for (int c = 0; c < model_.components; ++c) {
            matern_step(model_.order[c], model_.rate[c] * length, step_.part[c]);
        }
        each_entry([&](int c, int i, int j, int k) {
            step_.transition[i * D + j] = step_.part[c].transition[k];
            step_.noise[i * D + j] = model_.variance[c] * step_.part[c].noise[k];
        });
        return step_;
    }

    void pass_step(const Moments<D>& earlier, double length, Adjoint<D>& adjoint, const StateSpaceResults& out) {
        const Step<D>& s = step(length);
        if (out.by_rate != nullptr || out.by_variance != nullptr) {
            double by_transition[D * D];
            pull_transition<D>(s.transition, earlier, adjoint, by_transition);
            each_entry([&](int c, int i, int j, int k) {
                const MaternStep& part = s.part[c];
                const double by_a = 2 * by_transition[i * D + j] + adjoint.mean[i] * earlier.mean[j];
                const double by_q = adjoint.covariance[i * D + j];
                const double slope = by_a * part.transition_slope[k] + by_q * model_.variance[c] * part.noise_slope[k];
                if (out.by_rate != nullptr) out.by_rate[c] += length * slope;
                if (out.by_variance != nullptr) out.by_variance[c] += by_q * part.noise[k];
            });
        }
        pass_transition<D>(s.transition, adjoint);
    }

    const StateSpaceModel& model_;
    const Series& series_;
    Step<D> step_;
    int start_[kMaxState] = {};
    double observes_[D] = {};
};

template <int D>
Reached run(const StateSpaceModel& model, const Series& series, const StateSpaceResults& out, double* scratch) {
    Filter<D> filter(model, series);
    auto* predicted = reinterpret_cast<Moments<D>*>(scratch);
    const Reached reached = filter.forward(*out.log_likelihood, predicted);
    if (reached.index == series.count && predicted != nullptr) filter.backward(predicted, out);
    return reached;
}

using Run = Reached (*)(const StateSpaceModel&, const Series&, const StateSpaceResults&, double*);
// Sizes in between run as the next larger one, with states that nothing drives.
constexpr int kSizes[] = {1, 2, 3, 4, 6, 9, kMaxState};
constexpr Run kRuns[] = {run<1>, run<2>, run<3>, run<4>, run<6>, run<9>, run<kMaxState>};

int index_of_size(int size) {
    int i = 0;
    while (kSizes[i] < size) ++i;
    return i;
}

}  // namespace

std::size_t state_space_scratch(const StateSpaceModel& model, std::size_t count, bool backward) {
    const std::size_t d = kSizes[index_of_size(state_size(model))];
    return backward ? count * (d + d * d) : 0;
}

Reached state_space(const StateSpaceModel& model, const Series& series, const StateSpaceResults& results,
                    double* scratch) {
    return kRuns[index_of_size(state_size(model))](model, series, results, scratch);
}

}  // namespace fourfold::gp
