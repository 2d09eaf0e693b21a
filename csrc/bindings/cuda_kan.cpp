#include <pybind11/pybind11.h>

#include <cstdint>

#include "bindings/addresses.hpp"
#include "bindings/cuda_register.hpp"
#include "kan/rational_cuda.hpp"

namespace py = pybind11;
using namespace fourfold;

namespace {

// The shape of a call, checked in Python once and kept. Calls queue work on a stream and return.
class Rational {
public:
    Rational(std::size_t rows, std::size_t groups, std::size_t run, int m, int n, bool shared_numerator,
             bool shared_denominator, int variant, int storage)
        : shape_{rows,
                 groups,
                 run,
                 m,
                 n,
                 shared_numerator,
                 shared_denominator,
                 static_cast<kan::Variant>(variant),
                 static_cast<kan::Storage>(storage)} {}

    std::size_t workspace(int device) const { return kan::cuda::rational_workspace(shape_, device); }

    void forward(std::uintptr_t x, std::uintptr_t numerator, std::uintptr_t denominator, std::uintptr_t out, int device,
                 std::uintptr_t stream) const {
        refuse_null({x, numerator, out});
        kan::cuda::rational_forward(shape_, at(x), at(numerator), at(denominator), at(out), {device, at(stream)});
    }

    void backward(std::uintptr_t gradient, std::uintptr_t x, std::uintptr_t numerator, std::uintptr_t denominator,
                  std::uintptr_t x_gradient, std::uintptr_t numerator_gradient, std::uintptr_t denominator_gradient,
                  std::uintptr_t workspace, int device, std::uintptr_t stream) const {
        refuse_null({gradient, x, numerator, x_gradient, numerator_gradient, workspace});
        kan::cuda::rational_backward(shape_, at(gradient), at(x), at(numerator), at(denominator), at(x_gradient),
                                     at(numerator_gradient), at(denominator_gradient), at(workspace),
                                     {device, at(stream)});
    }

private:
    kan::RationalShape shape_;
};

}  // namespace

void register_cuda_kan(py::module_& module) {
    py::class_<Rational>(module, "Rational")
        .def(py::init<std::size_t, std::size_t, std::size_t, int, int, bool, bool, int, int>(), py::kw_only(),
             py::arg("rows"), py::arg("groups"), py::arg("run"), py::arg("m"), py::arg("n"),
             py::arg("shared_numerator"), py::arg("shared_denominator"), py::arg("variant"), py::arg("storage"))
        .def("workspace", &Rational::workspace, py::arg("device"))
        .def("forward", &Rational::forward, py::arg("x"), py::arg("numerator"), py::arg("denominator"), py::arg("out"),
             py::arg("device"), py::arg("stream"))
        .def("backward", &Rational::backward, py::arg("gradient"), py::arg("x"), py::arg("numerator"),
             py::arg("denominator"), py::arg("x_gradient"), py::arg("numerator_gradient"),
             py::arg("denominator_gradient"), py::arg("workspace"), py::arg("device"), py::arg("stream"));
}
