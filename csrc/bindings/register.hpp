// One register_* function a family, each in a file of its own.
#pragma once

#include <pybind11/pybind11.h>

void register_support(pybind11::module_& module);
void register_nlse(pybind11::module_& module);
