// One register_* function a concept, each in a file of its own.
#pragma once

#include <pybind11/pybind11.h>

void register_support(pybind11::module_& module);
void register_nlse(pybind11::module_& module);
void register_nlse_analysis(pybind11::module_& module);
void register_kan(pybind11::module_& module);
void register_kan_bases(pybind11::module_& module);
void register_pc(pybind11::module_& module);
void register_pc_codec(pybind11::module_& module);
void register_gp(pybind11::module_& module);
void register_gp_kernels(pybind11::module_& module);
void register_gp_state_space(pybind11::module_& module);
void register_gp_funbat(pybind11::module_& module);
