#include <pybind11/pybind11.h>

#include "bindings/build_info.hpp"
#include "bindings/register.hpp"

namespace py = pybind11;

PYBIND11_MODULE(_core, module, py::mod_gil_not_used()) {
    module.attr("__version__") = fourfold::build::version;
    register_support(module);
    py::module_ nlse = module.def_submodule("nlse");
    register_nlse(nlse);
}
