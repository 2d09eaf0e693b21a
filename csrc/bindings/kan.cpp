#include <pybind11/pybind11.h>

#include "bindings/register.hpp"

namespace py = pybind11;

void register_kan(py::module_& /*module*/) {}
