#include <pybind11/pybind11.h>

#include "bindings/gil.hpp"
#include "bindings/kan_bases.hpp"
#include "bindings/register.hpp"
#include "kan/bases.hpp"

namespace py = pybind11;
using namespace fourfold;

namespace {

template <class T>
void register_splines(py::module_& m) {
    using py::arg;
    define<T>(
        m, "spline",
        [](std::size_t features, int degree, int intervals, bool shared, Address knots, Address table, int derivative,
           Address x, Address out, std::size_t rows, int threads) {
            const GilReleased released;
            kan::Bases<T>::spline(spline_at<T>(features, degree, intervals, shared, knots, table), derivative,
                                  at<const T>(x), at<T>(out), rows, threads);
        },
        arg("features"), arg("degree"), arg("intervals"), arg("shared"), arg("knots"), arg("table"), arg("derivative"),
        arg("x"), arg("out"), arg("rows"), arg("threads"));
    define<T>(
        m, "spline_contract",
        [](std::size_t features, int degree, int intervals, bool shared, Address knots, Address table, int derivative,
           Address grad, Address x, Address dx, std::size_t rows, int threads) {
            const GilReleased released;
            kan::Bases<T>::spline_contract(spline_at<T>(features, degree, intervals, shared, knots, table), derivative,
                                           at<const T>(grad), at<const T>(x), at<T>(dx), rows, threads);
        },
        arg("features"), arg("degree"), arg("intervals"), arg("shared"), arg("knots"), arg("table"), arg("derivative"),
        arg("grad"), arg("x"), arg("dx"), arg("rows"), arg("threads"));
    define<T>(
        m, "spline_linear",
        [](std::size_t features, int degree, int intervals, bool shared, Address knots, Address table,
           std::size_t outputs, Address x, Address weight, Address y, std::size_t rows, int threads) {
            const GilReleased released;
            kan::Bases<T>::spline_linear(spline_at<T>(features, degree, intervals, shared, knots, table), outputs,
                                         at<const T>(x), at<const T>(weight), at<T>(y), rows, threads);
        },
        arg("features"), arg("degree"), arg("intervals"), arg("shared"), arg("knots"), arg("table"), arg("outputs"),
        arg("x"), arg("weight"), arg("y"), arg("rows"), arg("threads"));
    define<T>(
        m, "spline_linear_backward",
        [](std::size_t features, int degree, int intervals, bool shared, Address knots, Address table,
           std::size_t outputs, Address grad, Address x, Address weight, Address dx, Address dweight, std::size_t rows,
           int threads) {
            const GilReleased released;
            kan::Bases<T>::spline_linear_backward(spline_at<T>(features, degree, intervals, shared, knots, table),
                                                  outputs, at<const T>(grad), at<const T>(x), at<const T>(weight),
                                                  at<T>(dx), at<T>(dweight), rows, threads);
        },
        arg("features"), arg("degree"), arg("intervals"), arg("shared"), arg("knots"), arg("table"), arg("outputs"),
        arg("grad"), arg("x"), arg("weight"), arg("dx"), arg("dweight"), arg("rows"), arg("threads"));
}

template <class T>
void register_functions(py::module_& m) {
    using py::arg;
    define<T>(
        m, "basis",
        [](int function, std::size_t features, int functions, Address centre, Address scale, Address x, Address out,
           std::size_t rows, int threads) {
            const GilReleased released;
            const kan::Basis<T> basis = basis_at<T>(function, features, functions, centre, scale);
            kan::Bases<T>::basis(basis, at<const T>(x), at<T>(out), rows, threads);
        },
        arg("function"), arg("features"), arg("functions"), arg("centre"), arg("scale"), arg("x"), arg("out"),
        arg("rows"), arg("threads"));
    define<T>(
        m, "basis_contract",
        [](int function, std::size_t features, int functions, Address centre, Address scale, Address grad, Address x,
           Address dx, Address dcentre, Address dscale, std::size_t rows, int threads) {
            const GilReleased released;
            const kan::Basis<T> basis = basis_at<T>(function, features, functions, centre, scale);
            kan::Bases<T>::basis_contract(basis, at<const T>(grad), at<const T>(x), at<T>(dx), at<T>(dcentre),
                                          at<T>(dscale), rows, threads);
        },
        arg("function"), arg("features"), arg("functions"), arg("centre"), arg("scale"), arg("grad"), arg("x"),
        arg("dx"), arg("dcentre"), arg("dscale"), arg("rows"), arg("threads"));
}

}  // namespace

void register_kan_bases(py::module_& module) {
    register_splines<float>(module);
    register_splines<double>(module);
    register_functions<float>(module);
    register_functions<double>(module);
}
