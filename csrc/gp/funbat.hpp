// Functional Tucker and CP: entries y = sum_r w_r u1_r1(x1) ... uK_rK(xK) + noise, every u a Matern process.
// Variational message passing with q = q(U^1) ... q(U^K) q(w) q(noise); the passes over the data are here, what is of
// the size of the core alone is left to the caller.
//
// A mode has `rank` R independent functions with one rate and a variance each. They are seen at T sorted times, at each
// through a message exp(scale (shift' u - u' precision u / 2)) on the R values u there.
//
// Symmetric R x R matrices are packed: the P = R(R+1)/2 entries of the upper triangle, row by row.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fourfold::gp {

inline constexpr int kMaxRank = 32;
inline constexpr int kMaxOrder = 3;
inline constexpr int kMaxModes = 12;

constexpr std::size_t packed_size(std::size_t rank) { return rank * (rank + 1) / 2; }

// The functions of one mode as a linear stochastic differential equation, see state_space.hpp: order p = 1, 2, 3 for
// Matern-1/2, 3/2, 5/2. Entry j R + r of the state is the j-th derivative of function r in units of the rate, so that a
// transition mixes p rows of R numbers.
struct Chain {
    int rank, order;
    std::size_t count;
    const double* length;          // [T] time since the one before; 0 at the first
    const double* step;            // [T][3][p p] transition, noise, d noise/d tau, per unit of variance; the first has
                                   // the stationary covariance for its noise
    const double* variance;        // [R]
    const std::uint8_t* observed;  // [T] whether there is a message
    const double* precision;       // [T][P]
    const double* shift;           // [T][R]
    double scale;
};

struct ChainResults {
    double* log_evidence;  // [1] log of the integral of prior times messages
    double* mean;          // [T][R] of u given all messages
    double* covariance;    // [T][P]
    double* second;        // [T][P] covariance + mean mean'
    double* by_rate;       // [1] d log_evidence / d rate
    double* by_variance;   // [R]
};

// Doubles of scratch: with D = p R, for every time the predicted mean and covariance (D + D^2) and what the message
// does (R + R^2); 3 D^2 + 3 D R + 6 R^2 for all together.
std::size_t chain_scratch(int rank, int order, std::size_t count);

// Steps of Chain::step for a rate. length[0] is taken as "from the stationary state".
void chain_steps(int order, double rate, std::size_t count, const double* length, double* step);

// Filter, smoother and gradient. Returns count, or the first time at which the covariance was not positive definite.
std::size_t smooth_chain(const Chain& chain, const ChainResults& results, double* scratch);

// Sums over the entries at each time of one mode: entries start[t] .. start[t+1] - 1 belong to time t.
struct Entries {
    bool tucker;
    std::size_t count;            // N
    std::size_t times;            // T of this mode
    const std::int64_t* start;    // [T + 1]
    int others;                   // K - 1 other modes, in their order
    const std::int32_t* places;   // [N][K - 1] times in the other modes
    const double* value;          // [N]
    const int* rank;              // [K - 1]
    const double* const* mean;    // [K - 1] -> [times of that mode][R]
    const double* const* second;  // [K - 1] -> [times of that mode][P]
};

// CP, all ranks R:  first[t] = sum y prod_j m_j (R), second[t] = sum prod_j S_j entry by entry (P)
// Tucker: the same with outer products of the vectors m_j, and of the packed S_j: prod R_j and prod P_j numbers.
// scratch: `threads` times entries_scratch.
std::size_t entries_scratch(const Entries& entries);
void sum_entries(const Entries& entries, double* first, double* second, double* scratch, int threads);

// Moments of the model at N points: mean[N] and variance[N]. The core w has a mean and a covariance (Tucker: sizes
// prod R and its square; CP: mean R and no covariance). Every variance is a sum of terms that are not negative.
struct Points {
    bool tucker;
    std::size_t count;
    int modes;
    const std::int32_t* places;       // [N][K]
    const int* rank;                  // [K]
    const double* const* mean;        // [K] -> [T_k][R]
    const double* const* covariance;  // [K] -> [T_k][P]
    const double* core_mean;
    const double* core_covariance;  // null for CP
};
std::size_t points_scratch(const Points& points);
void evaluate_points(const Points& points, double* mean, double* variance, double* scratch, int threads);

// out[rows][columns] = a[rows][inner] b[columns][inner]'
void rows_times_rows(std::size_t rows, std::size_t columns, std::size_t inner, const double* a, const double* b,
                     double* out, int threads);
// out[rows][columns] = a[inner][rows]' b[inner][columns], summed in the order of `inner`
void columns_times_columns(std::size_t rows, std::size_t columns, std::size_t inner, const double* a, const double* b,
                           double* out, int threads);

// Inverse and log-determinant of a symmetric positive definite n x n matrix. Returns n, or the pivot that is not
// positive. work: 2 n^2.
std::size_t invert(std::size_t n, const double* matrix, double* inverse, double* logdet, double* work);

// One function table per ISA level.
struct FunbatKernels {
    std::size_t (*smooth_chain)(const Chain&, const ChainResults&, double* scratch);
    void (*sum_time)(const Entries&, std::size_t time, double* first, double* second, double* scratch);
    void (*evaluate_point)(const Points&, std::size_t point, double* mean, double* variance, double* scratch);
    void (*row_times_rows)(std::size_t columns, std::size_t inner, const double* row, const double* b, double* out);
    void (*column_times_columns)(std::size_t columns, std::size_t inner, const double* a, std::size_t stride,
                                 const double* b, double* out);
    std::size_t (*invert)(std::size_t n, const double* matrix, double* inverse, double* logdet, double* work);
};

}  // namespace fourfold::gp
