// How an interval between two saved times is cut into equal steps, and how short adaptive steps may become.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace fourfold::nlse {

// The duration of an interval from t0 to t1: that of the interval before, if only the rounding of its ends tells them
// apart, so that its tables serve again.
inline double kept_duration(double before, double t0, double t1) {
    const double rounding = 4 * std::numeric_limits<double>::epsilon() * std::max(std::abs(t0), std::abs(t1));
    return std::abs((t1 - t0) - before) > rounding ? t1 - t0 : before;
}

// The fewest that are not longer than `step`. A hair of slack: an interval of ten steps is ten steps, however its ends
// were rounded.
inline std::int64_t fixed_steps(double duration, double step) {
    return static_cast<std::int64_t>(std::max(1.0, std::ceil(duration / step * (1 - 1e-10))));
}

// From t0 to t1 in a run that is `span` long: the steps that can be told from none, and no more than 1e8 in a run. Who
// needs more meets a singularity, and would wait for days.
inline double smallest_step(double t0, double t1, double span) {
    const double reach = std::max(std::abs(t0), std::abs(t1));
    return std::max(8 * std::numeric_limits<double>::epsilon() * reach, 1e-8 * span);
}

}  // namespace fourfold::nlse
