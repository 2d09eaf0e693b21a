#include <pybind11/pybind11.h>

#include "bindings/build_info.hpp"
#include "bindings/register.hpp"

namespace py = pybind11;

PYBIND11_MODULE(_core, module, py::mod_gil_not_used()) {
    module.attr("__version__") = fourfold::build::version;
    register_support(module);
    py::module_ nlse = module.def_submodule("nlse");
    register_nlse(nlse);
    register_nlse_analysis(nlse);
    py::module_ kan = module.def_submodule("kan");
    register_kan(kan);
    register_kan_bases(kan);
    py::module_ pc = module.def_submodule("pc");
    register_pc(pc);
    register_pc_codec(pc);
    py::module_ gp = module.def_submodule("gp");
    register_gp(gp);
    register_gp_kernels(gp);
    register_gp_state_space(gp);
    register_gp_funbat(gp);
}
