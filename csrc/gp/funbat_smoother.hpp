// Filter and smoother for one mode of a functional Tucker model, see funbat.hpp. Included by kernel sources only.
//
// With P the predicted covariance, H the selection of the first R entries of the state, L L' the message's precision:
//   S = I + L' (H P H') L      never singular, whatever the message
//   J = L S^-1 L'              what the message adds to the information about the state before it
//   g = L S^-1 c, L c = shift - precision m
//   m + P H' g and Joseph's form with the gain P H' L S^-1, because P - P H' J H P loses what a strong message leaves.
// Backwards the adjoint `score` s of the predicted mean and its `information` I (Bryson and Frazier 1963): m + P s and
// P - P I P are the smoothed moments, and (s s' - I)/2 is the derivative of the log-evidence with respect to any
// covariance added at that time, which gives the gradient without differentiating the filter.
#pragma once

#include <type_traits>

#include "gp/funbat.hpp"
#include "gp/funbat_dense.hpp"

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

// A message's precision may be singular to rounding; what is below this share of its diagonal is none.
constexpr double kSingular = 1e-14;

// F of dx = F x dtau in units of the rate, row-major p x p.
inline const double* drift(int order) {
    static constexpr double first[1] = {-1};
    static constexpr double second[4] = {0, 1, -1, -2};
    static constexpr double third[9] = {0, 1, 0, 0, 0, 1, -1, -3, -3};
    return order == 1 ? first : order == 2 ? second : third;
}

// A length that is known when this is compiled, or one that is not (0): short loops of known length unroll.
template <int N>
using Length = std::conditional_t<N == 0, Size, std::integral_constant<Size, N>>;

template <int N>
Length<N> length_of(int n) {
    if constexpr (N == 0) return static_cast<Size>(n);
    return {};
}

template <int Rank, int Order>
class Smoother {
public:
    Smoother(const Chain& chain, double* scratch)
        : chain_(chain),
          rank_(length_of<Rank>(chain.rank)),
          order_(length_of<Order>(chain.order)),
          size_(length_of<Rank * Order>(chain.rank * chain.order)) {
        auto take = [&scratch](Size n) {
            double* from = scratch;
            scratch += n;
            return from;
        };
        const Size r = rank_, d = size_;
        stored_ = take(chain.count * stride());
        product_ = take(d * d);
        transposed_ = take(d * d);
        information_ = take(d * d);
        for (double*& buffer : wide_) buffer = take(d * r);
        for (double*& buffer : small_) buffer = take(r * r);
    }

    Size run(const ChainResults& out) {
        const Size reached = forward(out);
        if (reached == chain_.count) backward(out);
        return reached;
    }

private:
    Size stride() const { return size_ + size_ * size_ + rank_ + rank_ * rank_; }
    double* mean_at(Size t) const { return stored_ + t * stride(); }
    double* covariance_at(Size t) const { return mean_at(t) + size_; }
    double* shift_at(Size t) const { return covariance_at(t) + size_ * size_; }  // g
    double* gain_at(Size t) const { return shift_at(t) + rank_; }                // J
    const double* transition(Size t) const { return chain_.step + t * 3 * order_ * order_; }
    const double* noise(Size t) const { return transition(t) + order_ * order_; }
    const double* noise_slope(Size t) const { return noise(t) + order_ * order_; }

    // out = (a (x) I_R) x for rows of `width` numbers, a or its transpose
    void mix_rows(const double* a, bool transposed, const double* x, Size width, double* out) const {
        for (Size i = 0; i < order_; ++i) {
            for (Size r = 0; r < rank_; ++r) {
                double* row = out + (i * rank_ + r) * width;
                set_zero(width, row);
                for (Size j = 0; j < order_; ++j) {
                    const double entry = transposed ? a[j * order_ + i] : a[i * order_ + j];
                    add_scaled(width, entry, x + (j * rank_ + r) * width, row);
                }
            }
        }
    }

    // matrix = (a (x) I_R) matrix (a (x) I_R)' for a symmetric matrix
    void conjugate(const double* a, bool transposed, double* matrix) const {
        mix_rows(a, transposed, matrix, size_, product_);
        for (Size i = 0; i < size_; ++i) {
            for (Size j = 0; j < size_; ++j) transposed_[j * size_ + i] = product_[i * size_ + j];
        }
        mix_rows(a, transposed, transposed_, size_, matrix);
    }

    void mix_vector(const double* a, bool transposed, double* x) const {
        mix_rows(a, transposed, x, 1, product_);
        std::memcpy(x, product_, size_ * sizeof(double));
    }

    template <class F>
    void each_noise_entry(F f) const {
        for (Size i = 0; i < order_; ++i) {
            for (Size j = 0; j < order_; ++j) {
                for (Size r = 0; r < rank_; ++r) f(i * order_ + j, r, i * rank_ + r, j * rank_ + r);
            }
        }
    }

    void add_noise(Size t, double* covariance) const {
        const double* q = noise(t);
        each_noise_entry([&](Size entry, Size r, Size row, Size column) {
            covariance[row * size_ + column] += chain_.variance[r] * q[entry];
        });
    }

    Size forward(const ChainResults& out) {
        *out.log_evidence = 0;
        for (Size t = 0; t < chain_.count; ++t) {
            double *mean = mean_at(t), *covariance = covariance_at(t);
            if (t == 0) {
                set_zero(size_, mean);
                set_zero(size_ * size_, covariance);
            } else {
                updated(t - 1, mean, covariance);
                mix_vector(transition(t), false, mean);
                conjugate(transition(t), false, covariance);
            }
            add_noise(t, covariance);
            if (chain_.observed[t] != 0 && !weigh(t, *out.log_evidence)) return t;
        }
        return chain_.count;
    }

    // g, J and the log-evidence of the message at t; the gain factor P H' L S^-1 stays in wide_[0].
    bool weigh(Size t, double& log_evidence) {
        const Size r = rank_, d = size_;
        const double *mean = mean_at(t), *covariance = covariance_at(t), *shift = chain_.shift + t * r;
        double *precision = small_[0], *lower = small_[1], *s = small_[2], *factor = small_[3], *half = small_[4];
        double *g = shift_at(t), *j = gain_at(t);
        unpack(r, chain_.precision + t * packed_size(r), precision);
        for (Size i = 0; i < r * r; ++i) precision[i] *= chain_.scale;
        cholesky(r, precision, lower, kSingular);
        // S = I + L' P L
        multiply(r, r, r, covariance, d, lower, r, half, r);
        set_zero(r * r, s);
        for (Size k = 0; k < r; ++k) {
            for (Size i = 0; i < r; ++i) add_scaled(r, lower[k * r + i], half + k * r, s + i * r);
        }
        for (Size i = 0; i < r; ++i) s[i * r + i] += 1;
        if (cholesky(r, s, factor, -1) < r) return false;
        double* inverse_factor = small_[5];
        invert_lower(r, factor, inverse_factor);
        for (Size i = 0; i < r; ++i) log_evidence -= std::log(factor[i * r + i]);
        // half = L C^-T, so that J = half half'
        for (Size i = 0; i < r; ++i) {
            for (Size k = 0; k < r; ++k) half[i * r + k] = dot(k + 1, lower + i * r, inverse_factor + k * r);
        }
        for (Size i = 0; i < r; ++i) {
            for (Size k = 0; k < r; ++k) j[i * r + k] = dot(r, half + i * r, half + k * r);
        }
        // c = L^-1 (shift - precision m), column by column; S^-1 c = C^-T C^-1 c
        // c set to zero for the compiler, which does not see that only what has been written is read.
        double b[kMaxRank], c[kMaxRank] = {}, reduced[kMaxRank];
        for (Size i = 0; i < r; ++i) {
            const double pull = dot(r, precision + i * r, mean), full = chain_.scale * shift[i];
            b[i] = full - pull;
            log_evidence += mean[i] * (full - 0.5 * pull);
        }
        for (Size i = 0; i < r; ++i) {
            const double pivot = lower[i * r + i];
            c[i] = pivot == 0 ? 0 : (b[i] - dot(i, lower + i * r, c)) / pivot;
        }
        for (Size k = 0; k < r; ++k) reduced[k] = dot(k + 1, inverse_factor + k * r, c);
        for (Size i = 0; i < r; ++i) g[i] = dot(r, half + i * r, reduced);
        for (Size i = 0; i < r; ++i) log_evidence += 0.5 * b[i] * dot(r, covariance + i * d, g);
        return std::isfinite(log_evidence);
    }

    // The state after the message at t.
    void updated(Size t, double* mean, double* covariance) {
        const Size r = rank_, d = size_;
        const double *before = mean_at(t), *p = covariance_at(t);
        std::memcpy(mean, before, d * sizeof(double));
        std::memcpy(covariance, p, d * d * sizeof(double));
        if (chain_.observed[t] == 0) return;
        // `half`, `inverse_factor` of weigh(t) are still in small_[4] and small_[5].
        const double *half = small_[4], *inverse_factor = small_[5];
        double *spread = wide_[0], *gain = wide_[1], *reach = wide_[2];
        for (Size i = 0; i < d; ++i) mean[i] += dot(r, p + i * d, shift_at(t));
        multiply(d, r, r, p, d, half, r, spread, r);               // P H' L C^-T
        multiply(d, r, r, spread, r, inverse_factor, r, gain, r);  // P H' L S^-1
        // covariance = P - spread spread'
        for (Size i = 0; i < d; ++i) {
            for (Size k = 0; k < d; ++k) covariance[i * d + k] -= dot(r, spread + i * r, spread + k * r);
        }
        // covariance (I - P H' J H)' + gain gain'
        multiply(d, r, r, covariance, d, half, r, reach, r);
        for (Size i = 0; i < d; ++i) {
            for (Size k = 0; k < d; ++k) {
                product_[i * d + k] =
                    covariance[i * d + k] - dot(r, reach + i * r, spread + k * r) + dot(r, gain + i * r, gain + k * r);
            }
        }
        for (Size i = 0; i < d; ++i) {
            for (Size k = 0; k < d; ++k) covariance[i * d + k] = 0.5 * (product_[i * d + k] + product_[k * d + i]);
        }
    }

    void backward(const ChainResults& out) {
        const Size r = rank_, d = size_;
        double *score = score_, *information = information_;
        set_zero(d, score);
        set_zero(d * d, information);
        *out.by_rate = 0;
        set_zero(r, out.by_variance);
        for (Size t = chain_.count; t-- > 0;) {
            if (chain_.observed[t] != 0) pass_message(t, score, information);
            smooth(t, score, information, out);
            slopes(t, score, information, out);
            if (t == 0) break;
            mix_vector(transition(t), true, score);
            conjugate(transition(t), true, information);
        }
    }

    void pass_message(Size t, double* score, double* information) {
        const Size r = rank_, d = size_;
        const double *p = covariance_at(t), *g = shift_at(t), *j = gain_at(t);
        double pushed[kMaxRank];
        for (Size i = 0; i < r; ++i) pushed[i] = dot(d, p + i * d, score);
        for (Size i = 0; i < r; ++i) score[i] += g[i] - dot(r, j + i * r, pushed);
        // (I - P H' J H)' I (I - P H' J H) + H' J H, one side after the other: written out as a sum of symmetric terms
        // it loses the contraction, and rounding grows from step to step.
        double *y = wide_[0], *jy = wide_[1];  // R x D
        multiply(r, d, d, p, d, information, d, y, d);
        multiply(r, r, d, j, r, y, d, jy, d);
        for (Size i = 0; i < r * d; ++i) information[i] -= jy[i];
        double *x = wide_[0], *xj = wide_[1];  // D x R
        for (Size i = 0; i < d; ++i) {
            for (Size k = 0; k < r; ++k) x[i * r + k] = dot(d, information + i * d, p + k * d);
        }
        multiply(d, r, r, x, r, j, r, xj, r);
        for (Size i = 0; i < d; ++i) {
            for (Size k = 0; k < r; ++k) information[i * d + k] -= xj[i * r + k];
        }
        for (Size i = 0; i < r; ++i) {
            for (Size k = 0; k < r; ++k) information[i * d + k] += j[i * r + k];
        }
        for (Size i = 0; i < d; ++i) {
            for (Size k = 0; k < i; ++k) {
                const double mean = 0.5 * (information[i * d + k] + information[k * d + i]);
                information[i * d + k] = information[k * d + i] = mean;
            }
        }
    }

    void smooth(Size t, const double* score, const double* information, const ChainResults& out) {
        const Size r = rank_, d = size_;
        const double *mean = mean_at(t), *p = covariance_at(t);
        double* y = wide_[0];
        multiply(r, d, d, p, d, information, d, y, d);
        double* to = out.mean + t * r;
        for (Size i = 0; i < r; ++i) to[i] = mean[i] + dot(d, p + i * d, score);
        Size at = t * packed_size(r);
        for (Size i = 0; i < r; ++i) {
            for (Size k = i; k < r; ++k, ++at) {
                const double v = p[i * d + k] - 0.5 * (dot(d, y + i * d, p + k * d) + dot(d, y + k * d, p + i * d));
                out.covariance[at] = v;
                out.second[at] = v + to[i] * to[k];
            }
        }
    }

    // The derivatives by what the step into t contributes.
    void slopes(Size t, const double* score, const double* information, const ChainResults& out) const {
        const Size d = size_;
        const double *q = noise(t), *q_slope = noise_slope(t), *f = drift(chain_.order);
        const double *mean = mean_at(t), *p = covariance_at(t);
        double by_tau = 0;
        each_noise_entry([&](Size entry, Size r, Size row, Size column) {
            const double by_q = 0.5 * (score[row] * score[column] - information[row * d + column]);
            out.by_variance[r] += q[entry] * by_q;
            by_tau += chain_.variance[r] * q_slope[entry] * by_q;
        });
        if (t == 0) return;
        // tr(F' [s m' + (s s' - I)(P - Q)]) with the blocks of P - Q = A P(t-1) A'
        each_noise_entry([&](Size entry, Size, Size row, Size column) {
            if (f[entry] == 0) return;
            double sp = dot(d, score, p + column * d), ip = dot(d, information + row * d, p + column * d);
            for (Size j = 0; j < order_; ++j) {
                const Size other = j * rank_ + column % rank_;
                const double part = chain_.variance[column % rank_] * q[j * order_ + column / rank_];
                sp -= score[other] * part;
                ip -= information[row * d + other] * part;
            }
            by_tau += f[entry] * (score[row] * (mean[column] + sp) - ip);
        });
        *out.by_rate += chain_.length[t] * by_tau;
    }

    const Chain& chain_;
    const Length<Rank> rank_;
    const Length<Order> order_;
    const Length<Rank * Order> size_;
    double *stored_, *product_, *transposed_, *information_;
    double* wide_[3];
    double* small_[6];
    double score_[kMaxRank * kMaxOrder];
};

}  // namespace
}  // namespace fourfold::gp::FOURFOLD_LEVEL
