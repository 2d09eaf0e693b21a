// A rational call's shape as Python describes it, for the CPU's and the GPU's class alike.
#pragma once

#include <pybind11/pybind11.h>

#include "kan/rational.hpp"

// `Rational` is made of a kan::RationalShape.
template <class Rational>
void define_constructor(pybind11::class_<Rational>& type) {
    using fourfold::kan::RationalShape;
    using fourfold::kan::Storage;
    using fourfold::kan::Variant;
    using pybind11::arg;
    type.def(pybind11::init([](std::size_t rows, std::size_t groups, std::size_t run, int m, int n,
                               bool shared_numerator, bool shared_denominator, int variant, int storage) {
                 return Rational(RationalShape{rows, groups, run, m, n, shared_numerator, shared_denominator,
                                               static_cast<Variant>(variant), static_cast<Storage>(storage)});
             }),
             pybind11::kw_only(), arg("rows"), arg("groups"), arg("run"), arg("m"), arg("n"), arg("shared_numerator"),
             arg("shared_denominator"), arg("variant"), arg("storage"));
}
