#include "gp/state_space.hpp"

#include <cmath>
#include <cstring>

#include "gp/matern_steps.hpp"

namespace fourfold::gp {

namespace {

constexpr double kLog2Pi = 1.8378770664093454836;

int state_size(const StateSpaceModel& model) {
    int size = 0;
    for (int c = 0; c < model.components; ++c) size += model.order[c];
    return size;
}

// Square matrices are row-major with D columns. D is a constant, so that the loops unroll.
template <int D>
struct Moments {
    double mean[D];
    double covariance[D * D];
};

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
            if (t > 0) predict(state, series_.time[t] - series_.time[t - 1]);
            if (predicted != nullptr) predicted[t] = state;
            if (!series_.observed[t]) continue;
            const double error = series_.value[t] - observation(state.mean);
            const double s = update(state, t);
            if (!(s > 0) || !std::isfinite(s)) return {t, s};
            log_likelihood -= 0.5 * (kLog2Pi + std::log(s) + error * error / s);
        }
        return {series_.count, 0};
    }

    // Backward in time: the adjoint of `forward`. Its adjoint of the predicted mean, times the predicted covariance, is
    // the smoother's correction of the mean (Bryson and Frazier 1963); `information_` does the same for the variance.
    void backward(const Moments<D>* predicted, const StateSpaceResults& out) {
        Moments<D> adjoint{};
        double information[D * D] = {};
        for (int c = 0; c < model_.components; ++c) {
            if (out.by_rate != nullptr) out.by_rate[c] = 0;
            if (out.by_variance != nullptr) out.by_variance[c] = 0;
        }
        for (std::size_t t = series_.count; t-- > 0;) {
            const Moments<D>& before = predicted[t];
            double by_value = 0, by_noise = 0;
            if (series_.observed[t]) pass_observation(before, t, adjoint, information, by_value, by_noise);
            if (out.by_value != nullptr) out.by_value[t] = by_value;
            if (out.by_noise != nullptr) out.by_noise[t] = by_noise;
            smooth(before, adjoint, information, t, out);
            if (t == 0) break;
            Moments<D> earlier = predicted[t - 1];
            if (series_.observed[t - 1]) update(earlier, t - 1);
            pass_step(earlier, series_.time[t] - series_.time[t - 1], adjoint, information, out);
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

    double observation(const double* state) const {
        double sum = 0;
        for (int i = 0; i < D; ++i) sum += observes_[i] * state[i];
        return sum;
    }

    // covariance times the observation vector
    void observe_columns(const double* covariance, double* column) const {
        for (int i = 0; i < D; ++i) column[i] = observation(covariance + i * D);
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

    // out = a b or a b'
    static void multiply(const double* a, const double* b, double* out) {
        for (int i = 0; i < D; ++i) {
            double row[D] = {};
            for (int k = 0; k < D; ++k) {
                for (int j = 0; j < D; ++j) row[j] += a[i * D + k] * b[k * D + j];
            }
            std::memcpy(out + i * D, row, sizeof row);
        }
    }
    static void multiply_transposed(const double* a, const double* b, double* out) {
        for (int i = 0; i < D; ++i) {
            for (int j = 0; j < D; ++j) {
                double sum = 0;
                for (int k = 0; k < D; ++k) sum += a[i * D + k] * b[j * D + k];
                out[i * D + j] = sum;
            }
        }
    }
    // out = a' b a for a symmetric b
    static void congruence(const double* a, const double* b, double* out) {
        double product[D * D];
        multiply(b, a, product);
        for (int i = 0; i < D; ++i) {
            for (int j = 0; j < D; ++j) {
                double sum = 0;
                for (int k = 0; k < D; ++k) sum += a[k * D + i] * product[k * D + j];
                out[i * D + j] = sum;
            }
        }
    }

    void predict(Moments<D>& state, double length) {
        const Step<D>& s = step(length);
        double mean[D] = {}, product[D * D];
        for (int i = 0; i < D; ++i) {
            for (int j = 0; j < D; ++j) mean[i] += s.transition[i * D + j] * state.mean[j];
        }
        std::memcpy(state.mean, mean, sizeof mean);
        multiply(s.transition, state.covariance, product);
        multiply_transposed(product, s.transition, state.covariance);
        for (int i = 0; i < D * D; ++i) state.covariance[i] += s.noise[i];
    }

    // Joseph's form, (I - kh) P (I - kh)' + k r k', because P - p p'/s loses what is left of P if r is small.
    double update(Moments<D>& state, std::size_t t) const {
        double p[D], gain[D], left[D * D];
        observe_columns(state.covariance, p);
        const double r = series_.noise[t], s = observation(p) + r;
        const double error = series_.value[t] - observation(state.mean);
        for (int i = 0; i < D; ++i) {
            gain[i] = p[i] / s;
            state.mean[i] += gain[i] * error;
        }
        for (int i = 0; i < D; ++i) {
            for (int j = 0; j < D; ++j) left[i * D + j] = state.covariance[i * D + j] - gain[i] * p[j];
        }
        for (int i = 0; i < D; ++i) {
            const double h = observation(left + i * D);
            for (int j = 0; j < D; ++j) left[i * D + j] += (r * gain[i] - h) * gain[j];
        }
        for (int i = 0; i < D; ++i) {
            for (int j = 0; j < D; ++j) {
                state.covariance[i * D + j] = 0.5 * (left[i * D + j] + left[j * D + i]);
            }
        }
        return s;
    }

    void pass_observation(const Moments<D>& before, std::size_t t, Moments<D>& adjoint, double* information,
                          double& by_value, double& by_noise) const {
        double p[D], pushed[D], by_p[D];
        observe_columns(before.covariance, p);
        const double s = observation(p) + series_.noise[t];
        const double e = (series_.value[t] - observation(before.mean)) / s;
        double along = 0, quadratic = 0;
        for (int i = 0; i < D; ++i) {
            along += adjoint.mean[i] * p[i];
            pushed[i] = 0;
            for (int j = 0; j < D; ++j) pushed[i] += adjoint.covariance[i * D + j] * p[j];
        }
        for (int i = 0; i < D; ++i) quadratic += p[i] * pushed[i];
        const double by_error = along / s - e;
        by_noise = (quadratic / s - along * e) / s - 0.5 * (1 / s - e * e);
        by_value = by_error;
        for (int i = 0; i < D; ++i) {
            by_p[i] = adjoint.mean[i] * e - 2 * pushed[i] / s + by_noise * observes_[i];
        }
        for (int i = 0; i < D; ++i) {
            adjoint.mean[i] -= by_error * observes_[i];
            for (int j = 0; j < D; ++j) {
                adjoint.covariance[i * D + j] += 0.5 * (by_p[i] * observes_[j] + observes_[i] * by_p[j]);
            }
        }
        // (I - kh)' information (I - kh) + h h'/s
        double k_information[D] = {}, k_information_k = 0;
        for (int i = 0; i < D; ++i) {
            for (int j = 0; j < D; ++j) k_information[j] += p[i] / s * information[i * D + j];
        }
        for (int j = 0; j < D; ++j) k_information_k += k_information[j] * p[j] / s;
        for (int i = 0; i < D; ++i) {
            for (int j = 0; j < D; ++j) {
                information[i * D + j] += observes_[i] * observes_[j] * (k_information_k + 1 / s) -
                                          observes_[i] * k_information[j] - k_information[i] * observes_[j];
            }
        }
    }

    void smooth(const Moments<D>& before, const Moments<D>& adjoint, const double* information, std::size_t t,
                const StateSpaceResults& out) const {
        if (out.mean == nullptr && out.deviation2 == nullptr) return;
        double p[D];
        observe_columns(before.covariance, p);
        double mean = observation(before.mean), variance = observation(p);
        for (int i = 0; i < D; ++i) {
            mean += p[i] * adjoint.mean[i];
            for (int j = 0; j < D; ++j) variance -= p[i] * information[i * D + j] * p[j];
        }
        if (out.mean != nullptr) out.mean[t] = mean;
        if (out.deviation2 != nullptr) out.deviation2[t] = variance;
    }

    void pass_step(const Moments<D>& earlier, double length, Moments<D>& adjoint, double* information,
                   const StateSpaceResults& out) {
        const Step<D>& s = step(length);
        if (out.by_rate != nullptr || out.by_variance != nullptr) {
            double by_transition[D * D], product[D * D];
            multiply(s.transition, earlier.covariance, product);
            multiply(adjoint.covariance, product, by_transition);
            each_entry([&](int c, int i, int j, int k) {
                const MaternStep& part = s.part[c];
                const double by_a = 2 * by_transition[i * D + j] + adjoint.mean[i] * earlier.mean[j];
                const double by_q = adjoint.covariance[i * D + j];
                const double slope = by_a * part.transition_slope[k] + by_q * model_.variance[c] * part.noise_slope[k];
                if (out.by_rate != nullptr) out.by_rate[c] += length * slope;
                if (out.by_variance != nullptr) out.by_variance[c] += by_q * part.noise[k];
            });
        }
        double mean[D] = {};
        for (int i = 0; i < D; ++i) {
            for (int j = 0; j < D; ++j) mean[j] += s.transition[i * D + j] * adjoint.mean[i];
        }
        std::memcpy(adjoint.mean, mean, sizeof mean);
        double result[D * D];
        congruence(s.transition, adjoint.covariance, result);
        std::memcpy(adjoint.covariance, result, sizeof result);
        congruence(s.transition, information, result);
        std::memcpy(information, result, sizeof result);
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
