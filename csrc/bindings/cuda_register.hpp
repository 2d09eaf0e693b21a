// One function a file of bindings of the extension module _cuda.
#pragma once

#include <pybind11/pybind11.h>

void register_cuda_gp(pybind11::module_& module);
void register_cuda_gp_kernels(pybind11::module_& module);
void register_cuda_gp_series(pybind11::module_& module);
void register_cuda_kan(pybind11::module_& module);
void register_cuda_kan_bases(pybind11::module_& module);
void register_cuda_nlse(pybind11::module_& module);
void register_cuda_nlse_adaptive(pybind11::module_& module);
void register_cuda_nlse_fields(pybind11::module_& module);
void register_cuda_pc(pybind11::module_& module);
