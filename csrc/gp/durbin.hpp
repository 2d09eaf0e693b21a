// Durbin's recursion (Golub and Van Loan, Matrix Computations, section 4.7). Included by kernel sources only.
#pragma once

#include <cmath>

#include "gp/gemm.hpp"

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

// See DurbinKernel in algebra.hpp. work: [3][n]: the predictor reversed (it grows downwards, so that what is there need
// not move), the column reversed, and the spare entry before them.
Index durbin(Index n, const double* column, double* predictor, double* logdet, double* last, double* work) {
    double* reversed_column = work;
    double* reversed = work + 2 * n;  // of the length of the predictor, ends at work + 2n - 1 + ... downwards
    for (Index i = 0; i < n; ++i) reversed_column[i] = column[n - 1 - i] / column[0];
    predictor[0] = 1;
    *logdet = 0;
    *last = column[0];
    if (!(column[0] > 0)) return 0;
    *logdet = std::log(column[0]);
    double error = 1;  // of the prediction, relative to column[0]
    // y[0..k) and its reverse; product = sum_i r[k - i] y[i] + r[k + 1] for the next coefficient
    double* y = predictor + 1;
    double product = n > 1 ? reversed_column[n - 2] : 0;
    for (Index k = 0; k + 1 < n; ++k) {
        const double alpha = -product / error;
        error *= (1 - alpha) * (1 + alpha);
        if (!(error > 0)) return k + 1;
        *logdet += std::log(error) + std::log(column[0]);
        // What the next sum runs over: r[k + 1 - i] for i = 0 .. k, contiguous in the reversed column.
        const double* r = reversed_column + (n - 1) - (k + 1);
        double sum = 0;
        double* __restrict forward = y;
        double* __restrict backward = reversed;
#pragma omp simd reduction(+ : sum)
        for (Index j = 0; j < k; ++j) {
            const double a = forward[j], b = backward[j];
            const double next = a + alpha * b;
            forward[j] = next;
            backward[j] = b + alpha * a;
            sum += r[j] * next;
        }
        y[k] = alpha;
        *--reversed = alpha;
        if (k + 2 < n) product = sum + r[k] * alpha + reversed_column[(n - 1) - (k + 2)];
    }
    *last = error * column[0];
    return -1;
}

}  // namespace
}  // namespace fourfold::gp::FOURFOLD_LEVEL
