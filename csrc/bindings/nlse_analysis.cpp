#include <pybind11/pybind11.h>

#include <cstdint>

#include "bindings/addresses.hpp"
#include "bindings/gil.hpp"
#include "bindings/register.hpp"
#include "nlse/ordinal.hpp"

namespace py = pybind11;
using namespace fourfold;

namespace {

std::size_t ordinal_counts(Address series, std::size_t batch, std::size_t n, int order, std::size_t delay,
                           Address counts, int threads) {
    const GilReleased released;
    return nlse::ordinal_counts(at<const double>(series), batch, n, order, delay, at<std::int64_t>(counts), threads);
}

void matching_pairs(Address series, std::size_t batch, std::size_t n, std::size_t m, Address tolerances, Address pairs,
                    int threads) {
    const Signals signals;
    bool done = false;
    {
        const GilReleased released;
        done = nlse::matching_pairs(at<const double>(series), batch, n, m, at<const double>(tolerances),
                                    at<std::int64_t>(pairs), threads, [&] { return signals.arrived(); });
    }
    // Stopped because a signal's handler raised: let its exception go on.
    if (!done) throw py::error_already_set();
}

}  // namespace

void register_nlse_analysis(py::module_& module) {
    module.def("ordinal_counts", ordinal_counts, py::arg("series"), py::arg("batch"), py::arg("n"), py::arg("order"),
               py::arg("delay"), py::arg("counts"), py::arg("threads"));
    module.def("matching_pairs", matching_pairs, py::arg("series"), py::arg("batch"), py::arg("n"), py::arg("m"),
               py::arg("tolerances"), py::arg("pairs"), py::arg("threads"));
}
