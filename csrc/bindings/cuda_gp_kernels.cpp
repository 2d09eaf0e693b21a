#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <cstdint>

#include "bindings/addresses.hpp"
#include "bindings/cuda_register.hpp"
#include "gp/covariance_cuda.hpp"

namespace py = pybind11;
using namespace fourfold;

namespace {

using Addresses = std::array<Address, gp::kOrders>;

gp::Jet jet_at(const Addresses& addresses) {
    gp::Jet jet{};
    for (int r = 0; r < gp::kOrders; ++r) jet.order[r] = at<double>(addresses[r]);
    return jet;
}
gp::ConstJet const_jet_at(const Addresses& addresses) {
    gp::ConstJet jet{};
    for (int r = 0; r < gp::kOrders; ++r) jet.order[r] = at<const double>(addresses[r]);
    return jet;
}

// parameters[3][components] are in the memory of the CPU.
gp::Leaf leaf_at(int form, std::size_t components, Address parameters) {
    const auto* first = at<const double>(parameters);
    return {static_cast<gp::Form>(form), components, first, first + components, first + 2 * components};
}

// x, and y or 0; columns of y.
using Points = std::array<Address, 2>;

gp::GpuLags lags_at(const Points& points, std::size_t columns, std::size_t n) {
    refuse_null({points[0]});
    return {at<const double>(points[0]), at<const double>(points[1]), columns, n};
}

}  // namespace

// Everything is checked in Python; n > 0. Calls queue work on a stream and return.
void register_cuda_gp_kernels(py::module_& module) {
    module.def(
        "covariance_jet",
        [](int form, std::size_t components, Address parameters, const Points& points, std::size_t columns,
           std::size_t n, const Addresses& out, bool add, int device, Address stream) {
            gp::cuda::evaluate(leaf_at(form, components, parameters), lags_at(points, columns, n), jet_at(out), add,
                               {device, at(stream)});
        },
        py::kw_only(), py::arg("form"), py::arg("components"), py::arg("parameters"), py::arg("points"),
        py::arg("columns"), py::arg("n"), py::arg("out"), py::arg("add"), py::arg("device"), py::arg("stream"));
    module.def(
        "covariance_product",
        [](const Addresses& a, const Addresses& b, std::size_t n, const Addresses& out, bool add, int device,
           Address stream) {
            gp::cuda::multiply(const_jet_at(a), const_jet_at(b), n, jet_at(out), add, {device, at(stream)});
        },
        py::kw_only(), py::arg("a"), py::arg("b"), py::arg("n"), py::arg("out"), py::arg("add"), py::arg("device"),
        py::arg("stream"));
    module.def(
        "covariance_product_pull_back",
        [](const Addresses& b, const Addresses& cotangent, std::size_t n, const Addresses& by_a, int device,
           Address stream) {
            gp::cuda::multiply_pull_back(const_jet_at(b), const_jet_at(cotangent), n, jet_at(by_a),
                                         {device, at(stream)});
        },
        py::kw_only(), py::arg("b"), py::arg("cotangent"), py::arg("n"), py::arg("by_a"), py::arg("device"),
        py::arg("stream"));
    module.def("covariance_parts", gp::cuda::pull_back_parts, py::arg("components"), py::arg("lags"));
    module.def(
        "covariance_pull_back",
        [](int form, std::size_t components, Address parameters, const Points& points, std::size_t columns,
           std::size_t n, const Addresses& cotangent, Address gradient, Address parts, int device, Address stream) {
            refuse_null({gradient, parts});
            gp::cuda::pull_back(leaf_at(form, components, parameters), lags_at(points, columns, n),
                                const_jet_at(cotangent), at<double>(gradient), at<double>(parts), {device, at(stream)});
        },
        py::kw_only(), py::arg("form"), py::arg("components"), py::arg("parameters"), py::arg("points"),
        py::arg("columns"), py::arg("n"), py::arg("cotangent"), py::arg("gradient"), py::arg("parts"),
        py::arg("device"), py::arg("stream"));
}
