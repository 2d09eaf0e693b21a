#include <pybind11/pybind11.h>

#include "bindings/cuda_register.hpp"
#include "bindings/kan_bases.hpp"
#include "kan/bases_cuda.hpp"

namespace py = pybind11;
using namespace fourfold;

namespace {

// Calls queue work on a stream and return.
template <class T>
void register_splines(py::module_& m) {
    using py::arg;
    define<T>(
        m, "spline",
        [](std::size_t features, int degree, int intervals, bool shared, Address knots, Address table, int derivative,
           Address x, Address out, std::size_t rows, int device, Address stream) {
            refuse_null({knots, table, x, out});
            kan::cuda::Splines<T>::expand(spline_at<T>(features, degree, intervals, shared, knots, table), derivative,
                                          at<const T>(x), at<T>(out), rows, {device, at(stream)});
        },
        arg("features"), arg("degree"), arg("intervals"), arg("shared"), arg("knots"), arg("table"), arg("derivative"),
        arg("x"), arg("out"), arg("rows"), arg("device"), arg("stream"));
    define<T>(
        m, "spline_contract",
        [](std::size_t features, int degree, int intervals, bool shared, Address knots, Address table, int derivative,
           Address grad, Address x, Address dx, std::size_t rows, int device, Address stream) {
            refuse_null({knots, table, grad, x, dx});
            kan::cuda::Splines<T>::contract(spline_at<T>(features, degree, intervals, shared, knots, table), derivative,
                                            at<const T>(grad), at<const T>(x), at<T>(dx), rows, {device, at(stream)});
        },
        arg("features"), arg("degree"), arg("intervals"), arg("shared"), arg("knots"), arg("table"), arg("derivative"),
        arg("grad"), arg("x"), arg("dx"), arg("rows"), arg("device"), arg("stream"));
}

template <class T>
void register_functions(py::module_& m) {
    using py::arg;
    define<T>(
        m, "basis",
        [](int function, std::size_t features, int functions, Address centre, Address scale, Address x, Address out,
           std::size_t rows, int device, Address stream) {
            refuse_null({x, out});
            kan::cuda::Functions<T>::expand(basis_at<T>(function, features, functions, centre, scale), at<const T>(x),
                                            at<T>(out), rows, {device, at(stream)});
        },
        arg("function"), arg("features"), arg("functions"), arg("centre"), arg("scale"), arg("x"), arg("out"),
        arg("rows"), arg("device"), arg("stream"));
    define<T>(
        m, "basis_workspace",
        [](int function, std::size_t features, int functions, std::size_t rows, int device) {
            return kan::cuda::Functions<T>::workspace(basis_at<T>(function, features, functions, 0, 0), rows, device);
        },
        arg("function"), arg("features"), arg("functions"), arg("rows"), arg("device"));
    define<T>(
        m, "basis_contract",
        [](int function, std::size_t features, int functions, Address centre, Address scale, Address grad, Address x,
           Address dx, Address dcentre, Address dscale, std::size_t rows, Address workspace, int device,
           Address stream) {
            refuse_null({grad, x, dx});
            kan::cuda::Functions<T>::contract(basis_at<T>(function, features, functions, centre, scale),
                                              at<const T>(grad), at<const T>(x), at<T>(dx), at<T>(dcentre),
                                              at<T>(dscale), rows, at<T>(workspace), {device, at(stream)});
        },
        arg("function"), arg("features"), arg("functions"), arg("centre"), arg("scale"), arg("grad"), arg("x"),
        arg("dx"), arg("dcentre"), arg("dscale"), arg("rows"), arg("workspace"), arg("device"), arg("stream"));
}

}  // namespace

void register_cuda_kan_bases(py::module_& module) {
    register_splines<float>(module);
    register_splines<double>(module);
    register_functions<float>(module);
    register_functions<double>(module);
}
