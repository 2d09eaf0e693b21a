// The extension module _cuda: the GPU twins. Importing it needs neither a driver nor a device.
#include <pybind11/pybind11.h>

#include <string>

#include "bindings/build_info.hpp"
#include "bindings/cuda_register.hpp"
#include "support/cuda_device.hpp"

namespace py = pybind11;

PYBIND11_MODULE(_cuda, module, py::mod_gil_not_used()) {
    module.attr("__version__") = fourfold::build::version;
    module.attr("architectures") = fourfold::build::cuda_architectures;
    module.def("devices", [] {
        std::string why;
        const int count = fourfold::cuda::device_count(why);
        return py::make_tuple(count, why);
    });
    py::module_ kan = module.def_submodule("kan");
    register_cuda_kan(kan);
    register_cuda_kan_bases(kan);
    py::module_ nlse = module.def_submodule("nlse");
    register_cuda_nlse(nlse);
    register_cuda_nlse_fields(nlse);
    register_cuda_nlse_adaptive(nlse);
    py::module_ pc = module.def_submodule("pc");
    register_cuda_pc(pc);
    py::module_ gp = module.def_submodule("gp");
    register_cuda_gp(gp);
    register_cuda_gp_kernels(gp);
    register_cuda_gp_series(gp);
}
