// The rational equation of a diagonal matrix with a term of rank one. Included by kernel sources only.
#pragma once

#include <cmath>
#include <limits>

#include "gp/gemm.hpp"

namespace fourfold::gp::FOURFOLD_LEVEL {
namespace {

// Sums over the poles first .. last - 1: rho z^2/(pole - x) and its derivative. differences[i] = (d[i] - origin) - x.
struct PoleSums {
    double value, slope;
};
PoleSums pole_sums(Index first, Index last, const double* d, const double* squares, double origin, double x,
                   double* differences) {
    double value = 0, slope = 0;
#pragma omp simd reduction(+ : value, slope)
    for (Index i = first; i < last; ++i) {
        const double difference = (d[i] - origin) - x;
        const double inverse = 1 / difference, term = squares[i] * inverse;
        differences[i] = difference;
        value += term;
        slope += term * inverse;
    }
    return {value, slope};
}

// The root j of f(x) = 1 + rho sum squares[i]/(d[i] - x), that between d[j] and d[j + 1] or, for the last, above d[j];
// differences[i] = d[i] - root to high relative accuracy. d ascends strictly, squares > 0; norm = sum squares.
//
// The unknown is the distance to the nearer pole. Steps solve the equation with the poles on either side summed up as
// one each, with the right value and slope (Bunch, Nielsen and Sorensen, Numer. Math. 31, 1978), inside a bracket.
double secular_root(Index n, Index j, const double* d, const double* squares, double rho, double norm,
                    double* differences) {
    constexpr double eps = std::numeric_limits<double>::epsilon();
    if (n == 1) {
        differences[0] = -rho * squares[0];
        return d[0] + rho * squares[0];
    }
    const bool last = j == n - 1;
    const double gap = last ? rho * norm : d[j + 1] - d[j];
    // f rises between its poles: the sign in the middle says which half the root is in.
    const double middle = 0.5 * gap;
    const PoleSums left = pole_sums(0, j + 1, d, squares, d[j], middle, differences);
    const PoleSums right = pole_sums(j + 1, n, d, squares, d[j], middle, differences);
    const double at_middle = 1 + rho * (left.value + right.value);
    const bool from_left = last || at_middle >= 0;
    const double origin = from_left ? d[j] : d[j + 1];
    double low, high;
    if (last) {
        low = at_middle < 0 ? middle : 0.0;
        high = at_middle < 0 ? gap * (1 + 4 * eps) : middle;
    } else {
        low = from_left ? 0.0 : -middle;
        high = from_left ? middle : 0.0;
    }
    // The two poles beside the root, and the others as they are in the middle.
    const Index one = last ? j - 1 : j, other = last ? j : j + 1;
    const double first_pole = d[one] - origin, second_pole = d[other] - origin;
    const double first_square = rho * squares[one], second_square = rho * squares[other];
    double x;
    {
        const double in_middle = last ? middle : (from_left ? middle : -middle);
        const double rest =
            at_middle - first_square / (first_pole - in_middle) - second_square / (second_pole - in_middle);
        // rest (first - x)(second - x) + first_square (second - x) + second_square (first - x) = 0
        const double b = rest * (first_pole + second_pole) + first_square + second_square;
        const double c = rest * first_pole * second_pole + first_square * second_pole + second_square * first_pole;
        const double inside = b * b - 4 * rest * c;
        const double root = std::sqrt(inside > 0 ? inside : 0.0);
        // c vanishes with the square at the origin: the small root without cancellation.
        const double sum = b + std::copysign(root, b);
        const double candidates[2] = {2 * c / sum, sum / (2 * rest)};
        x = candidates[0] > low && candidates[0] < high ? candidates[0] : candidates[1];
        if (!(x > low && x < high)) x = 0.5 * (low + high);
    }
    for (int iteration = 0;; ++iteration) {
        const Index cut = last ? n - 1 : j + 1;
        PoleSums below = pole_sums(0, cut, d, squares, origin, x, differences);
        PoleSums above = pole_sums(cut, n, d, squares, origin, x, differences);
        below = {rho * below.value, rho * below.slope};
        above = {rho * above.value, rho * above.slope};
        const double f = 1 + below.value + above.value;
        const double slope = below.slope + above.slope;
        const double rounding =
            eps * (1 + 4 * (std::fabs(below.value) + std::fabs(above.value)) + std::fabs(x) * slope);
        if (!(std::fabs(f) > rounding)) break;
        if (f < 0) {
            low = x;
        } else {
            high = x;
        }
        const double first = differences[one], second = differences[other];
        const double rest = f - first * below.slope - second * above.slope;
        const double b = (first + second) * f - first * second * slope, c = first * second * f;
        const double inside = b * b - 4 * rest * c;
        const double root = std::sqrt(inside > 0 ? inside : 0.0);
        double step;
        if (last) {
            step = b >= 0 ? (b + root) / (2 * rest) : 2 * c / (b - root);
        } else {
            step = b <= 0 ? (b - root) / (2 * rest) : 2 * c / (b + root);
        }
        // f rises: the step goes against its sign.
        double next = x + (f * step < 0 ? step : -f / slope);
        if (!(next > low && next < high)) {
            // Near a pole the scale is that of the distance.
            next = low > 0    ? std::sqrt(low) * std::sqrt(high)
                   : high < 0 ? -std::sqrt(-low) * std::sqrt(-high)
                              : 0.5 * (low + high);
        }
        // `differences` are those of x.
        if (iteration == 100 || next == x || !(next > low && next < high)) break;
        x = next;
    }
    return origin + x;
}

}  // namespace
}  // namespace fourfold::gp::FOURFOLD_LEVEL
