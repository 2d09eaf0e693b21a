// What the package asks of the extension module itself.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <map>
#include <string>
#include <vector>

#include "bindings/build_info.hpp"
#include "bindings/register.hpp"
#include "support/isa.hpp"

namespace py = pybind11;

namespace {

namespace isa = fourfold::isa;

std::vector<std::string> levels(bool (*wanted)(isa::Level)) {
    std::vector<std::string> names;
    for (isa::Level level : isa::built_levels()) {
        if (wanted(level)) names.emplace_back(isa::name(level));
    }
    return names;
}

std::map<std::string, std::string> build_info() {
    namespace build = fourfold::build;
    return {
        {"compiler", build::compiler},
        {"build_type", build::type},
        {"sanitizers", build::sanitizers},
        {"cuda", build::cuda},
    };
}

}  // namespace

void register_support(py::module_& module) {
    module.def("isa_level", [] { return std::string(isa::name(isa::level())); });
    module.def("isa_levels_built", [] { return levels([](isa::Level) { return true; }); });
    module.def("isa_levels_supported", [] { return levels(isa::supported); });
    module.def("build_info", &build_info);
}
