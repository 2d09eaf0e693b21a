#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "bindings/addresses.hpp"
#include "bindings/gil.hpp"
#include "bindings/register.hpp"
#include "gp/state_space.hpp"
#include "support/thread_pool.hpp"

namespace py = pybind11;
using namespace fourfold;

void register_gp_state_space(py::module_& module) {
    // Series share their times: value, noise, observed and per-time results are [series][count]; per-component results
    // [series][components]; parameters [3][components] are order, rate, variance. `backward`: more than the likelihood.
    module.def(
        "state_space",
        [](const std::vector<int>& order, Address rate, Address variance, std::size_t series, std::size_t count,
           Address time, Address value, Address noise, Address observed, const std::array<Address, 7>& out,
           Address scratch, bool backward, int threads) {
            const GilReleased released;
            const int components = static_cast<int>(order.size());
            const gp::StateSpaceModel model{components, order.data(), at<const double>(rate),
                                            at<const double>(variance)};
            const std::size_t scratch_size = gp::state_space_scratch(model, count, backward);
            std::vector<std::pair<std::size_t, double>> reached(series);
            parallel_for(series, threads, [&](std::size_t i, int worker) {
                const std::size_t row = i * count, part = i * components;
                const gp::Series one{count, at<const double>(time), at<const double>(value, row),
                                     at<const double>(noise, row), at<const std::uint8_t>(observed, row)};
                const gp::StateSpaceResults results{at<double>(out[0], i),    at<double>(out[1], row),
                                                    at<double>(out[2], row),  at<double>(out[3], part),
                                                    at<double>(out[4], part), at<double>(out[5], row),
                                                    at<double>(out[6], row)};
                const gp::Reached end =
                    gp::state_space(model, one, results, at<double>(scratch, worker * scratch_size));
                reached[i] = {end.index, end.predicted_variance};
            });
            return reached;
        },
        py::kw_only(), py::arg("order"), py::arg("rate"), py::arg("variance"), py::arg("series"), py::arg("count"),
        py::arg("time"), py::arg("value"), py::arg("noise"), py::arg("observed"), py::arg("out"), py::arg("scratch"),
        py::arg("backward"), py::arg("threads"));
    module.def("state_space_scratch", [](const std::vector<int>& order, std::size_t count) {
        const gp::StateSpaceModel model{static_cast<int>(order.size()), order.data(), nullptr, nullptr};
        return gp::state_space_scratch(model, count, true);
    });
}
