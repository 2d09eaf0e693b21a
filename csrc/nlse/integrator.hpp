// A run: a batch of realisations of one problem by one method, from saved time to saved time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <vector>

#include "nlse/adjoint.hpp"
#include "nlse/setup.hpp"

namespace fourfold::nlse {

struct Options {
    std::string method;     // a splitting scheme, rk4ip, etdrk4, dop853 or published
    int order;              // that the method has on this problem
    double step;            // > 0: the longest fixed step; 0: adaptive
    double rtol, atol;      // adaptive
    double t_start, t_end;  // of the whole run
};

// Arrays in natural order that must outlive the integrator; null where there is none.
struct Coefficients {
    const double* omega;         // [n], FFT order
    const double* filter;        // [n], FFT order, or null
    const double* nonlinearity;  // [batch], or [1] if shared
    const double* potential;     // [batch][n], or [n] if shared, or null
    const double* loss;          // same
    bool shared_nonlinearity, shared_potential, shared_loss;
};

enum class Part : int { nonlinearity, potential, loss };

// A part of the medium as a function of time, see InTime. Copied.
struct Variation {
    std::size_t terms;   // of a series; 0: the function gives the row
    const double* rows;  // [terms][batch, or 1 if shared][n, or 1 for the nonlinearity]
    bool shared;
    const std::int64_t* pieces;  // [terms] of each term's factor, or null: the function gives the factors
    const double* knots;         // those of all terms, one after the other
    const double* coefficients;  // same, 4 a piece
    std::function<void(double time, double* out, std::size_t count)> function;  // asked on the calling thread only
};

struct Failure {
    Status status;
    std::size_t realisation;
    double time;
    double error;  // of a reconstruction
};

struct Counters {
    std::int64_t steps = 0, rejected = 0, transforms = 0;
    double last_step = 0;
};

template <class T>
class Integrator {
public:
    Integrator(std::size_t n, std::size_t batch, const Options& options, const Coefficients& coefficients);

    // Makes a part of the medium depend on time, in place of its coefficients. Before the first advance().
    void vary(Part part, Variation variation);

    // Changes psi[batch][2 n] from time t0 to t1. `interrupted` is asked now and then, on the calling thread only;
    // where it answers true the call returns with Status::cancelled and psi is of no use. Of several failures the one
    // of the lowest realisation is returned. Not to be called from two threads at once (they take turns).
    Failure advance(T* psi, double t0, double t1, int threads, const std::function<bool()>& interrupted);

    Counters counters() const;

    // What decides the steps to come, besides the fields: the step that each realisation would try next, and the
    // duration of the interval before, which is returned. Another integrator of the same run to which both are given
    // goes on as if there had been no break (but for `published`, which walks on from states of its own).
    double control(double* next_steps) const;  // next_steps[batch]; 0: none yet
    void restore_control(double duration, const double* next_steps);

    // Times are counted from the beginning of an interval, and one that is as long as the one before but for the
    // rounding of its ends counts as just as long: then its tables can be kept. So this is to be asked for all
    // intervals of a run in their order; advance() does.
    double duration(double t0, double t1);

    // The way back of one interval for the derivatives: lambda[batch][2 n], the cotangents of the states at its end,
    // get those of the states at its beginning, and `sums`, arrays with one row a realisation, what the coefficients
    // add. psi_start and psi_end are the states at both ends, first_steps what control() said at the beginning.
    // `reversible`: run the steps backwards from psi_end. Otherwise take them again from psi_start, along checkpoints.
    // Status::reconstruction where that misses the other end by more than the tolerance (relative, 2-norm). For
    // splittings only.
    Failure backward(const T* psi_start, const T* psi_end, T* lambda, double t0, double duration,
                     const double* first_steps, bool reversible, double tolerance, const Sensitivities& sums,
                     int threads, const std::function<bool()>& interrupted);

private:
    struct Varying {
        AlignedBuffer<T> rows;
        std::vector<double> knots, coefficients;
        std::vector<PiecewiseCubic> factors;
        std::function<void(double, double*, std::size_t)> function;
        InTime<T> in_time;
    };

    Medium<T> medium(std::size_t realisation) const;
    Interval interval(double t0, double t1, double duration) const;
    Sensitivities sums_of(const Sensitivities& all, std::size_t realisation) const;

    // Whether denormal numbers count as zero in the kernels. In single precision the tails of a pulse, which are at
    // round-off, make them: the intensity and the powers of the angle in sincos. Python functions keep the mode of the
    // caller.
    bool flushes() const { return std::is_same_v<T, float> && !asks_functions_; }

    FftPlan<T> plan_;
    Setup<T> setup_;
    std::unique_ptr<Varying> varying_[3];
    Options options_;
    std::size_t batch_;
    std::vector<double> omega_;
    AlignedBuffer<T> filter_, nonlinearity_, potential_, loss_;
    bool shared_nonlinearity_, shared_potential_, shared_loss_;
    std::vector<Progress> progress_;
    std::vector<AlignedBuffer<T>> workers_, adjoint_workers_;
    AlignedBuffer<T> states_;  // [batch][needs.realisation]
    MemoryNeeds needs_;
    bool asks_functions_ = false;
    double duration_ = 0;  // of the interval before
    std::mutex mutex_;
};

extern template class Integrator<float>;
extern template class Integrator<double>;

}  // namespace fourfold::nlse
