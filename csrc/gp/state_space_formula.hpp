// The arithmetic of the Kalman filter and of its adjoint, for the CPU and for the GPU; see state_space.hpp for the
// model. Square matrices are row-major with D columns. D is a constant, so that the loops unroll. observes[D] is the
// vector that makes the observed function of the state: entries 0 and 1.
#pragma once

#include "support/host_device.hpp"

namespace fourfold::gp {

template <int D>
struct Moments {
    double mean[D];
    double covariance[D * D];
};

// What the way back carries from time to time: the adjoint of the predicted moments, and the smoother's information.
template <int D>
struct Adjoint {
    double mean[D];
    double covariance[D * D];
    double information[D * D];
};

template <int D>
FOURFOLD_INLINE double observation(const double* observes, const double* state) {
    double sum = 0;
    for (int i = 0; i < D; ++i) sum += observes[i] * state[i];
    return sum;
}

// covariance times the observation vector
template <int D>
FOURFOLD_INLINE void observe_columns(const double* observes, const double* covariance, double* column) {
    for (int i = 0; i < D; ++i) column[i] = observation<D>(observes, covariance + i * D);
}

// out = a b; out may be a.
template <int D>
FOURFOLD_INLINE void multiply(const double* a, const double* b, double* out) {
    for (int i = 0; i < D; ++i) {
        double row[D] = {};
        for (int k = 0; k < D; ++k) {
            for (int j = 0; j < D; ++j) row[j] += a[i * D + k] * b[k * D + j];
        }
        for (int j = 0; j < D; ++j) out[i * D + j] = row[j];
    }
}

// out = a b'
template <int D>
FOURFOLD_INLINE void multiply_transposed(const double* a, const double* b, double* out) {
    for (int i = 0; i < D; ++i) {
        for (int j = 0; j < D; ++j) {
            double sum = 0;
            for (int k = 0; k < D; ++k) sum += a[i * D + k] * b[j * D + k];
            out[i * D + j] = sum;
        }
    }
}

// b = a' b a for a symmetric b
template <int D>
FOURFOLD_INLINE void congruence(const double* a, double* b) {
    double product[D * D];
    multiply<D>(b, a, product);
    for (int i = 0; i < D; ++i) {
        for (int j = 0; j < D; ++j) {
            double sum = 0;
            for (int k = 0; k < D; ++k) sum += a[k * D + i] * product[k * D + j];
            b[i * D + j] = sum;
        }
    }
}

template <int D>
FOURFOLD_INLINE void predict(const double* transition, const double* noise, Moments<D>& state) {
    double mean[D] = {}, product[D * D];
    for (int i = 0; i < D; ++i) {
        for (int j = 0; j < D; ++j) mean[i] += transition[i * D + j] * state.mean[j];
    }
    for (int i = 0; i < D; ++i) state.mean[i] = mean[i];
    multiply<D>(transition, state.covariance, product);
    multiply_transposed<D>(product, transition, state.covariance);
    for (int i = 0; i < D * D; ++i) state.covariance[i] += noise[i];
}

// The state after an observation of noise r; returns the variance that was predicted for it. Joseph's form,
// (I - kh) P (I - kh)' + k r k', because P - p p'/s loses what is left of P if r is small.
template <int D>
FOURFOLD_INLINE double update(const double* observes, double value, double r, Moments<D>& state) {
    double p[D], gain[D], left[D * D];
    observe_columns<D>(observes, state.covariance, p);
    const double s = observation<D>(observes, p) + r;
    const double error = value - observation<D>(observes, state.mean);
    for (int i = 0; i < D; ++i) {
        gain[i] = p[i] / s;
        state.mean[i] += gain[i] * error;
    }
    for (int i = 0; i < D; ++i) {
        for (int j = 0; j < D; ++j) left[i * D + j] = state.covariance[i * D + j] - gain[i] * p[j];
    }
    for (int i = 0; i < D; ++i) {
        const double h = observation<D>(observes, left + i * D);
        for (int j = 0; j < D; ++j) left[i * D + j] += (r * gain[i] - h) * gain[j];
    }
    for (int i = 0; i < D; ++i) {
        for (int j = 0; j < D; ++j) state.covariance[i * D + j] = 0.5 * (left[i * D + j] + left[j * D + i]);
    }
    return s;
}

// From what follows an observation to what comes before it. `before`: the state predicted there.
template <int D>
FOURFOLD_INLINE void pass_observation(const double* observes, double value, double r, const Moments<D>& before,
                                      Adjoint<D>& adjoint, double& by_value, double& by_noise) {
    double p[D], pushed[D], by_p[D];
    observe_columns<D>(observes, before.covariance, p);
    const double s = observation<D>(observes, p) + r;
    const double e = (value - observation<D>(observes, before.mean)) / s;
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
        by_p[i] = adjoint.mean[i] * e - 2 * pushed[i] / s + by_noise * observes[i];
    }
    for (int i = 0; i < D; ++i) {
        adjoint.mean[i] -= by_error * observes[i];
        for (int j = 0; j < D; ++j) {
            adjoint.covariance[i * D + j] += 0.5 * (by_p[i] * observes[j] + observes[i] * by_p[j]);
        }
    }
    // (I - kh)' information (I - kh) + h h'/s
    double k_information[D] = {}, k_information_k = 0;
    for (int i = 0; i < D; ++i) {
        for (int j = 0; j < D; ++j) k_information[j] += p[i] / s * adjoint.information[i * D + j];
    }
    for (int j = 0; j < D; ++j) k_information_k += k_information[j] * p[j] / s;
    for (int i = 0; i < D; ++i) {
        for (int j = 0; j < D; ++j) {
            adjoint.information[i * D + j] += observes[i] * observes[j] * (k_information_k + 1 / s) -
                                              observes[i] * k_information[j] - k_information[i] * observes[j];
        }
    }
}

// Mean and variance of the observed function given all observations: the adjoint of the predicted mean, times the
// predicted covariance, is the smoother's correction of the mean (Bryson and Frazier 1963); `information` does the
// same for the variance.
template <int D>
FOURFOLD_INLINE void smooth(const double* observes, const Moments<D>& before, const Adjoint<D>& adjoint, double& mean,
                            double& variance) {
    double p[D];
    observe_columns<D>(observes, before.covariance, p);
    mean = observation<D>(observes, before.mean);
    variance = observation<D>(observes, p);
    for (int i = 0; i < D; ++i) {
        mean += p[i] * adjoint.mean[i];
        for (int j = 0; j < D; ++j) variance -= p[i] * adjoint.information[i * D + j] * p[j];
    }
}

// Half of the adjoint of the transition, without what the mean adds to it. `earlier`: the state that it was applied to.
template <int D>
FOURFOLD_INLINE void pull_transition(const double* transition, const Moments<D>& earlier, const Adjoint<D>& adjoint,
                                     double* by_transition) {
    double product[D * D];
    multiply<D>(transition, earlier.covariance, product);
    multiply<D>(adjoint.covariance, product, by_transition);
}

// From a predicted state to the one that it was predicted from.
template <int D>
FOURFOLD_INLINE void pass_transition(const double* transition, Adjoint<D>& adjoint) {
    double mean[D] = {};
    for (int i = 0; i < D; ++i) {
        for (int j = 0; j < D; ++j) mean[j] += transition[i * D + j] * adjoint.mean[i];
    }
    for (int i = 0; i < D; ++i) adjoint.mean[i] = mean[i];
    congruence<D>(transition, adjoint.covariance);
    congruence<D>(transition, adjoint.information);
}

}  // namespace fourfold::gp
