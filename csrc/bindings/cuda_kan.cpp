#include <pybind11/pybind11.h>

#include <cstdint>

#include "bindings/addresses.hpp"
#include "bindings/cuda_register.hpp"
#include "bindings/rational_shape.hpp"
#include "kan/rational_cuda.hpp"

namespace py = pybind11;
using namespace fourfold;

namespace {

// The shape of a call, checked in Python once and kept. Calls queue work on a stream and return.
class Rational {
public:
    explicit Rational(const kan::RationalShape& shape) : shape_(shape) {}

    std::size_t workspace(int device) const { return kan::cuda::rational_workspace(shape_, device); }

    void forward(Address x, Address numerator, Address denominator, Address out, int device, Address stream) const {
        refuse_null({x, numerator, out});
        kan::cuda::rational_forward(shape_, at(x), at(numerator), at(denominator), at(out), {device, at(stream)});
    }

    void backward(Address gradient, Address x, Address numerator, Address denominator, Address x_gradient,
                  Address numerator_gradient, Address denominator_gradient, Address workspace, int device,
                  Address stream) const {
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
    py::class_<Rational> rational(module, "Rational");
    define_constructor(rational);
    rational.def("workspace", &Rational::workspace, py::arg("device"))
        .def("forward", &Rational::forward, py::arg("x"), py::arg("numerator"), py::arg("denominator"), py::arg("out"),
             py::arg("device"), py::arg("stream"))
        .def("backward", &Rational::backward, py::arg("gradient"), py::arg("x"), py::arg("numerator"),
             py::arg("denominator"), py::arg("x_gradient"), py::arg("numerator_gradient"),
             py::arg("denominator_gradient"), py::arg("workspace"), py::arg("device"), py::arg("stream"));
}
