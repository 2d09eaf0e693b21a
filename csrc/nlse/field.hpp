// Operations on one split field: the pointwise flows of x space, and FieldOps on top of the transform's sweeps.
#pragma once

#include "nlse/flow_formula.hpp"
#include "nlse/nlse.hpp"
#include "support/fft_kernels.hpp"
#include "support/sincos.hpp"

namespace fourfold::nlse::FOURFOLD_LEVEL {
namespace {

using namespace fourfold::FOURFOLD_LEVEL;

template <class T>
void split(const T* interleaved, T* re, T* im, std::size_t n) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) {
        re[i] = interleaved[2 * i];
        im[i] = interleaved[2 * i + 1];
    }
}

template <class T>
void interleave(const T* re, const T* im, T* interleaved, std::size_t n) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) {
        interleaved[2 * i] = re[i];
        interleaved[2 * i + 1] = im[i];
    }
}

template <class T>
double sum_of_squares(const T* re, const T* im, std::size_t n) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::size_t i = 0; i < n; ++i) {
        sum += static_cast<double>(re[i]) * re[i] + static_cast<double>(im[i]) * im[i];
    }
    return sum;
}

// Infinity and NaN both fail the comparison.
inline bool is_finite(double value) { return value - value == 0; }

// Exact flow of i psi_t = -g |psi|^2 psi + V psi - i gamma psi over the time tau.
// Without loss |psi| stays, so psi -> psi exp(i tau (g |psi|^2 - V)).
// With loss |psi|^2 decays as exp(-2 gamma t), so psi -> psi exp(-gamma tau) exp(i (g |psi|^2 l - tau V)) with the
// effective time l = (1 - exp(-2 gamma tau)) / (2 gamma).
template <class T>
struct PotentialFlow {
    T nonlinearity;
    T tau;
    const T* potential;       // [n] or null
    const T* amplitude;       // [n]: exp(-gamma tau), or null: no loss
    const T* effective_time;  // [n]: l, with amplitude
};

// `Plain`: neither potential nor loss.
template <class T, int V, bool Plain>
struct PotentialFlowOperation {
    PotentialFlow<T> flow;
    T strength;  // g tau

    explicit PotentialFlowOperation(const PotentialFlow<T>& f) : flow(f), strength(f.nonlinearity * f.tau) {}

    FOURFOLD_INLINE void operator()(Complex<Lanes<T, V>>& z, std::size_t i) const {
        using Vec = Lanes<T, V>;
        const Vec intensity = z.re * z.re + z.im * z.im;
        Vec angle = intensity * strength;
        if constexpr (!Plain) {
            if (flow.amplitude != nullptr) {
                angle = intensity * (load<Vec>(flow.effective_time + i) * flow.nonlinearity);
            }
            if (flow.potential != nullptr) angle = angle - load<Vec>(flow.potential + i) * flow.tau;
        }
        Vec cosine_minus_1, sine;
        sincos<T, V>(angle, angle, cosine_minus_1, sine);
        z = turned(z, cosine_minus_1, sine);
        if constexpr (!Plain) {
            if (flow.amplitude != nullptr) {
                const Vec amplitude = load<Vec>(flow.amplitude + i);
                z = {z.re * amplitude, z.im * amplitude};
            }
        }
    }
};

// The flow in x space alone, and between the last stage of an inverse transform and the first of the next forward one.
template <class T, int V>
void flow_in_x(const FftPlan<T>& plan, const PotentialFlow<T>& flow, T* re, T* im) {
    const PotentialFlowOperation<T, V, false> operation(flow);
    for (std::size_t i = 0; i < plan.n; i += V) {
        auto z = load_complex<Lanes<T, V>>(re, im, i);
        operation(z, i);
        store_complex(re, im, i, z);
    }
}

template <class T, int V>
void flow_between_transforms(const FftPlan<T>& plan, const PotentialFlow<T>& flow, T* re, T* im) {
    if (flow.amplitude == nullptr && flow.potential == nullptr) {
        outer_sweep<T, V, true, true>(plan, re, im, PotentialFlowOperation<T, V, true>(flow));
    } else {
        outer_sweep<T, V, true, true>(plan, re, im, PotentialFlowOperation<T, V, false>(flow));
    }
}

// psi -> i (g |psi|^2 - V + i gamma) psi / n
template <class T, int V>
struct NonlinearOperation {
    Medium<T> medium;
    T inverse_n;

    FOURFOLD_INLINE void operator()(Complex<Lanes<T, V>>& z, std::size_t i) const {
        using Vec = Lanes<T, V>;
        Vec turn = (z.re * z.re + z.im * z.im) * medium.nonlinearity;
        if (medium.potential != nullptr) turn = turn - load<Vec>(medium.potential + i);
        turn = turn * inverse_n;
        Complex<Vec> result = {-(z.im * turn), z.re * turn};
        if (medium.loss != nullptr) {
            const Vec decay = load<Vec>(medium.loss + i) * inverse_n;
            result = {result.re - z.re * decay, result.im - z.im * decay};
        }
        z = result;
    }
};

template <class T, int V>
void forward_transform(const FftPlan<T>& plan, T* re, T* im) {
    outer_sweep<T, V, false, true>(plan, re, im, NoOperation{});
    spectral<T, V, Side::forward>(plan, {}, re, im);
}

template <class T, int V>
void inverse_transform(const FftPlan<T>& plan, T* re, T* im) {
    spectral<T, V, Side::inverse>(plan, {}, re, im);
    outer_sweep<T, V, true, false>(plan, re, im, NoOperation{});
}

template <class T, int V>
void nonlinear_transform(const FftPlan<T>& plan, const Medium<T>& medium, T* re, T* im) {
    spectral<T, V, Side::inverse>(plan, {}, re, im);
    outer_sweep<T, V, true, true>(plan, re, im, NonlinearOperation<T, V>{medium, T(1) / static_cast<T>(plan.n)});
    spectral<T, V, Side::forward>(plan, {}, re, im);
}

// The pieces that the gradients are put together from.
template <class T, int V>
void outer_forward(const FftPlan<T>& plan, T* re, T* im) {
    outer_sweep<T, V, false, true>(plan, re, im, NoOperation{});
}
template <class T, int V>
void outer_inverse(const FftPlan<T>& plan, T* re, T* im) {
    outer_sweep<T, V, true, false>(plan, re, im, NoOperation{});
}
template <class T, int V>
void kinetic_between_sweeps(const FftPlan<T>& plan, const T* table, T* re, T* im) {
    spectral<T, V, Side::both>(plan, {table, table + plan.n, T(1) / static_cast<T>(plan.n)}, re, im);
}
template <class T, int V>
void inner_forward(const FftPlan<T>& plan, T* re, T* im) {
    spectral<T, V, Side::forward>(plan, {}, re, im);
}
template <class T, int V>
void inner_inverse(const FftPlan<T>& plan, T* re, T* im) {
    spectral<T, V, Side::inverse>(plan, {}, re, im);
}

template <class T, int V>
constexpr FieldOps<T> field_ops() {
    return {forward_transform<T, V>, inverse_transform<T, V>,      nonlinear_transform<T, V>, outer_forward<T, V>,
            outer_inverse<T, V>,     kinetic_between_sweeps<T, V>, inner_forward<T, V>,       inner_inverse<T, V>};
}

}  // namespace
}  // namespace fourfold::nlse::FOURFOLD_LEVEL
