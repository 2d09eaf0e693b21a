#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "bindings/addresses.hpp"
#include "bindings/gil.hpp"
#include "bindings/register.hpp"
#include "pc/codec.hpp"
#include "pc/codec_gpu_program.hpp"
#include "pc/likelihood_gpu_program.hpp"
#include "pc/missing.hpp"

namespace py = pybind11;
using namespace fourfold;

namespace {

py::bytes encode_missing(Address missing, std::int64_t rows, std::int64_t columns) {
    std::vector<std::uint8_t> out;
    {
        const GilReleased released;
        out = pc::encode_missing(at<const std::uint8_t>(missing), rows, columns);
    }
    return {reinterpret_cast<const char*>(out.data()), out.size()};
}

void decode_missing(Address in, std::int64_t length, Address missing, std::int64_t rows, std::int64_t columns) {
    const GilReleased released;
    pc::decode_missing(at<const std::uint8_t>(in), length, at<std::uint8_t>(missing), rows, columns);
}

}  // namespace

void register_pc_codec(py::module_& module) {
    py::class_<pc::Codec>(module, "Codec")
        .def(py::init([](int nodes, int variables, Address parent, Address states, Address leaf_node,
                         Address cardinality, Address packed, Address offsets, int threads) {
                 const pc::CircuitView circuit{nodes,
                                               variables,
                                               at<const std::int32_t>(parent),
                                               at<const std::int32_t>(states),
                                               at<const std::int32_t>(leaf_node),
                                               at<const std::int32_t>(cardinality),
                                               at<const float>(packed),
                                               at<const std::int64_t>(offsets)};
                 const GilReleased released;
                 return std::make_unique<pc::Codec>(circuit, threads);
             }),
             py::kw_only(), py::arg("nodes"), py::arg("variables"), py::arg("parent"), py::arg("states"),
             py::arg("leaf_node"), py::arg("cardinality"), py::arg("packed"), py::arg("offsets"), py::arg("threads"))
        .def_property_readonly("order", [](const pc::Codec& self) { return self.plan.order; })
        .def_property_readonly("table_floats", [](const pc::Codec& self) { return self.plan.tables.size(); })
        .def("streams", &pc::Codec::streams, py::arg("rows"))
        // What a GPU needs: the program's sizes, and then its operations and tables.
        .def("gpu_program",
             [](const pc::Codec& self) {
                 const pc::CodecProgramBuilder builder(self.plan);
                 const pc::CodecProgram program = builder.view();
                 py::dict sizes;
                 sizes["operation_bytes"] = builder.operation_count() * sizeof(pc::LaneOperation);
                 sizes["table_floats"] = builder.table_floats();
                 sizes["count"] = program.count;
                 sizes["variables"] = program.variables;
                 sizes["lane_floats"] = program.lane_floats;
                 sizes["factor"] = program.factor;
                 sizes["wide"] = program.wide;
                 return sizes;
             })
        .def(
            "write_gpu_program",
            [](const pc::Codec& self, std::uintptr_t operations, std::uintptr_t tables) {
                const GilReleased released;
                pc::CodecProgramBuilder(self.plan).write(at<pc::LaneOperation>(operations), at<float>(tables));
            },
            py::arg("operations"), py::arg("tables"))
        .def(
            "encode",
            [](const pc::Codec& self, Address cells, int size, const std::vector<std::int64_t>& rows, Address start,
               Address out, Address length, Address status, int threads) {
                const GilReleased released;
                self.encode({at<void>(cells), size}, rows, at<const std::int64_t>(start), at<std::uint8_t>(out),
                            at<std::int64_t>(length), at<pc::BlockStatus>(status), threads);
            },
            py::arg("cells"), py::arg("size"), py::arg("rows"), py::arg("start"), py::arg("out"), py::arg("length"),
            py::arg("status"), py::arg("threads"))
        .def(
            "decode",
            [](const pc::Codec& self, Address in, Address start, Address length, const std::vector<std::int64_t>& rows,
               Address cells, int size, Address status, int threads) {
                const GilReleased released;
                self.decode(at<const std::uint8_t>(in), at<const std::int64_t>(start), at<const std::int64_t>(length),
                            rows, {at<void>(cells), size}, at<pc::BlockStatus>(status), threads);
            },
            py::arg("input"), py::arg("start"), py::arg("length"), py::arg("rows"), py::arg("cells"), py::arg("size"),
            py::arg("status"), py::arg("threads"));
    module.def(
        "up_program",
        [](int nodes, int variables, std::uintptr_t parent, std::uintptr_t states, std::uintptr_t leaf_node,
           std::uintptr_t cardinality, std::uintptr_t packed, std::uintptr_t offsets, std::uintptr_t operations,
           std::uintptr_t tables) {
            const pc::UpProgramBuilder builder({nodes, variables, at<const std::int32_t>(parent),
                                                at<const std::int32_t>(states), at<const std::int32_t>(leaf_node),
                                                at<const std::int32_t>(cardinality), at<const float>(packed),
                                                at<const std::int64_t>(offsets)});
            const pc::UpProgram program = builder.view();
            if (operations != 0) builder.write(at<pc::UpOperation>(operations), at<float>(tables));
            py::dict sizes;
            sizes["operation_bytes"] = builder.operation_count() * sizeof(pc::UpOperation);
            sizes["table_floats"] = builder.table_floats();
            sizes["count"] = program.count;
            sizes["variables"] = program.variables;
            sizes["warp_floats"] = program.warp_floats;
            return sizes;
        },
        py::kw_only(), py::arg("nodes"), py::arg("variables"), py::arg("parent"), py::arg("states"),
        py::arg("leaf_node"), py::arg("cardinality"), py::arg("packed"), py::arg("offsets"), py::arg("operations"),
        py::arg("tables"));
    module.def("encode_missing", encode_missing, py::arg("missing"), py::arg("rows"), py::arg("columns"));
    module.def("decode_missing", decode_missing, py::arg("input"), py::arg("length"), py::arg("missing"),
               py::arg("rows"), py::arg("columns"));
}
