#include <pybind11/pybind11.h>

#include "bindings/register.hpp"

namespace py = pybind11;

void register_kan_bases(py::module_& /*module*/) {}
