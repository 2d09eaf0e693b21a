// What the bindings of the bases say alike for the CPU and the GPU.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

#include "bindings/addresses.hpp"
#include "kan/bases.hpp"

// Registers name + "_float32" or "_float64".
template <class T, class F, class... Extra>
void define(pybind11::module_& module, const char* name, F function, Extra... extra) {
    const std::string full = std::string(name) + (sizeof(T) == 4 ? "_float32" : "_float64");
    module.def(full.c_str(), function, pybind11::kw_only(), extra...);
}

template <class T>
fourfold::kan::Spline<T> spline_at(std::size_t features, int degree, int intervals, bool shared, Address knots,
                                   Address table) {
    return {features, degree, intervals, shared, at<const T>(knots), at<const T>(table)};
}

template <class T>
fourfold::kan::Basis<T> basis_at(int function, std::size_t features, int functions, Address centre, Address scale) {
    return {static_cast<fourfold::kan::Function>(function), features, functions, at<const T>(centre),
            at<const T>(scale)};
}
