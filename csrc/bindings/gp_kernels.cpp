#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <cstdint>
#include <type_traits>
#include <vector>

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

// A step of a kernel in postfix order: the number of a form, or what is made of the two kernels before it.
constexpr int kSum = -1, kProduct = -2;

// parameters: (3, components[i]) of each leaf, one after the other.
std::vector<gp::Step> kernel_at(const std::vector<int>& steps, const std::vector<std::size_t>& components,
                                std::uintptr_t parameters) {
    const auto* first = reinterpret_cast<const double*>(parameters);
    std::vector<gp::Step> kernel;
    std::size_t leaf = 0;
    for (const int step : steps) {
        if (step == kSum || step == kProduct) {
            kernel.push_back({step == kSum ? gp::Step::Kind::sum : gp::Step::Kind::product, {}});
        } else {
            const std::size_t n = components.at(leaf++);
            kernel.push_back({gp::Step::Kind::leaf, {static_cast<gp::Form>(step), n, first, first + n, first + 2 * n}});
            first += 3 * n;
        }
    }
    return kernel;
}

}  // namespace

void register_gp_kernels(py::module_& module) {
    module.def(
        "covariance_jet",
        [](const std::vector<int>& steps, const std::vector<std::size_t>& components, std::uintptr_t parameters,
           std::uintptr_t lag, std::size_t n, const Addresses& out, int threads) {
            const GilReleased released;
            gp::evaluate(kernel_at(steps, components, parameters), reinterpret_cast<const double*>(lag), n,
                         jet_at<gp::Jet>(out), threads);
        },
        py::arg("steps"), py::arg("components"), py::arg("parameters"), py::arg("lag"), py::arg("n"), py::arg("out"),
        py::arg("threads"));
    module.def(
        "covariance_pull_back",
        [](const std::vector<int>& steps, const std::vector<std::size_t>& components, std::uintptr_t parameters,
           std::uintptr_t lag, std::size_t n, const Addresses& cotangent, std::uintptr_t gradient, int threads) {
            const GilReleased released;
            gp::pull_back(kernel_at(steps, components, parameters), reinterpret_cast<const double*>(lag), n,
                          jet_at<gp::ConstJet>(cotangent), reinterpret_cast<double*>(gradient), threads);
        },
        py::arg("steps"), py::arg("components"), py::arg("parameters"), py::arg("lag"), py::arg("n"),
        py::arg("cotangent"), py::arg("gradient"), py::arg("threads"));
}
