#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <cstdint>
#include <type_traits>

#include "bindings/gil.hpp"
#include "bindings/register.hpp"
#include "gp/covariance.hpp"

namespace py = pybind11;
using namespace fourfold;

namespace {

using Addresses = std::array<std::uintptr_t, gp::kOrders>;

template <class J>
J jet_at(const Addresses& addresses) {
    J jet{};
    for (int r = 0; r < gp::kOrders; ++r) {
        jet.order[r] = reinterpret_cast<std::remove_reference_t<decltype(jet.order[r])>>(addresses[r]);
    }
    return jet;
}

gp::Mixture mixture_at(int envelope, std::size_t components, std::uintptr_t parameters) {
    const auto* first = reinterpret_cast<const double*>(parameters);
    return {static_cast<gp::Envelope>(envelope), components, first, first + components, first + 2 * components};
}

}  // namespace

void register_gp_kernels(py::module_& module) {
    module.def(
        "covariance_jet",
        [](int envelope, std::size_t components, std::uintptr_t parameters, std::uintptr_t lag, std::size_t n,
           const Addresses& out, int threads) {
            const GilReleased released;
            gp::evaluate(mixture_at(envelope, components, parameters), reinterpret_cast<const double*>(lag), n,
                         jet_at<gp::Jet>(out), threads);
        },
        py::arg("envelope"), py::arg("components"), py::arg("parameters"), py::arg("lag"), py::arg("n"), py::arg("out"),
        py::arg("threads"));
    module.def(
        "covariance_pull_back",
        [](int envelope, std::size_t components, std::uintptr_t parameters, std::uintptr_t lag, std::size_t n,
           const Addresses& cotangent, std::uintptr_t gradient, int threads) {
            const GilReleased released;
            gp::pull_back(mixture_at(envelope, components, parameters), reinterpret_cast<const double*>(lag), n,
                          jet_at<gp::ConstJet>(cotangent), reinterpret_cast<double*>(gradient), threads);
        },
        py::arg("envelope"), py::arg("components"), py::arg("parameters"), py::arg("lag"), py::arg("n"),
        py::arg("cotangent"), py::arg("gradient"), py::arg("threads"));
}
