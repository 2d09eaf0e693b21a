#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "bindings/addresses.hpp"
#include "bindings/cuda_register.hpp"
#include "pc/codec_cuda.hpp"
#include "pc/em_cuda.hpp"
#include "pc/likelihood_cuda.hpp"

namespace py = pybind11;
using namespace fourfold;

namespace {

// A codec's program in device memory, which Python keeps. Calls queue work on a stream and return.
class Codec {
public:
    Codec(std::uintptr_t operations, std::uintptr_t tables, std::int64_t count, std::int64_t variables,
          std::int64_t lane_floats, std::int32_t factor, std::int32_t wide)
        : program_{static_cast<const pc::LaneOperation*>(at(operations)),
                   static_cast<const float*>(at(tables)),
                   count,
                   variables,
                   lane_floats,
                   factor,
                   wide} {
        refuse_null({operations, tables});
    }

    std::size_t encode_scratch(std::int64_t rows, int device) const {
        return pc::cuda::encode_scratch(program_, rows, device);
    }
    std::size_t decode_scratch(std::int64_t blocks, int streams, int device) const {
        return pc::cuda::decode_scratch(program_, blocks, streams, device);
    }

    void encode(std::uintptr_t cells, int size, std::int64_t rows, std::uintptr_t blocks, std::int64_t count,
                std::uintptr_t intervals, std::uintptr_t bad, std::uintptr_t scratch, std::uintptr_t out,
                std::uintptr_t length, std::uintptr_t status, int device, std::uintptr_t stream) const {
        refuse_null({cells, blocks, intervals, bad, out, length, status});
        pc::cuda::encode(program_, at(cells), size, rows, at(blocks), count, at(intervals), at(bad), at(scratch),
                         at(out), at(length), at(status), {device, at(stream)});
    }

    void decode(std::uintptr_t input, std::uintptr_t blocks, std::int64_t count, int streams, std::uintptr_t cells,
                int size, std::uintptr_t scratch, std::uintptr_t status, int device, std::uintptr_t stream) const {
        refuse_null({input, blocks, cells, status});
        pc::cuda::decode(program_, at(input), at(blocks), count, streams, at(cells), size, at(scratch), at(status),
                         {device, at(stream)});
    }

private:
    pc::CodecProgram program_;
};

// The same of the pass up the tree.
class Likelihood {
public:
    Likelihood(std::uintptr_t operations, std::uintptr_t tables, std::int64_t count, std::int64_t variables,
               std::int64_t warp_floats)
        : program_{static_cast<const pc::UpOperation*>(at(operations)), static_cast<const float*>(at(tables)), count,
                   variables, warp_floats} {
        refuse_null({operations, tables});
    }

    std::size_t scratch(std::int64_t images, int device) const {
        return pc::cuda::likelihood_scratch(program_, images, device);
    }

    void log_prob(std::uintptr_t codes, int size, std::int64_t images, std::uintptr_t scratch, std::uintptr_t out,
                  int device, std::uintptr_t stream) const {
        refuse_null({codes, out});
        pc::cuda::log_prob(program_, at(codes), size, images, at(scratch), at(out), {device, at(stream)});
    }

private:
    pc::UpProgram program_;
};

// Learning and sampling, with buffers that Python keeps.
class Em {
public:
    Em(std::uintptr_t plan, std::int64_t nodes, std::int64_t variables, std::int64_t edge_jobs, std::int64_t leaf_jobs,
       std::int64_t update_jobs, std::vector<std::int32_t> levels, std::uintptr_t tables, std::uintptr_t flow,
       std::uintptr_t average, std::uintptr_t totals, std::uintptr_t likelihood, std::uintptr_t message,
       std::uintptr_t posterior, std::uintptr_t expected, std::uintptr_t exponent, std::uintptr_t log_prob,
       std::int64_t stride)
        : em_{{nodes, variables, edge_jobs, leaf_jobs, update_jobs},
              std::move(levels),
              at(plan),
              {at(tables), at(flow), at(average), at(totals), at(likelihood), at(message), at(posterior), at(expected),
               at(exponent), at(log_prob), stride}} {
        refuse_null({plan, tables, likelihood, message, posterior, exponent, log_prob});
    }

    void log_prob(std::uintptr_t codes, int size, std::int64_t images, int device, std::uintptr_t stream) const {
        refuse_null({codes});
        pc::cuda::em_log_prob(em_, {at(codes), nullptr, nullptr, size, images}, {device, at(stream)});
    }
    void step(std::uintptr_t codes, std::uintptr_t sorted, std::uintptr_t order, int size, std::int64_t images,
              bool rescaled, double step, double pseudocount, double momentum, double correction, int device,
              std::uintptr_t stream) const {
        refuse_null({codes, sorted, order, address(em_.memory.flow), address(em_.memory.expected)});
        pc::cuda::em_step(em_, {at(codes), at(sorted), at(order), size, images},
                          rule(rescaled, step, pseudocount, momentum, correction), {device, at(stream)});
    }
    void accumulate(std::uintptr_t codes, std::uintptr_t sorted, std::uintptr_t order, int size, std::int64_t images,
                    int device, std::uintptr_t stream) const {
        refuse_null({codes, sorted, order, address(em_.memory.totals)});
        pc::cuda::em_accumulate(em_, {at(codes), at(sorted), at(order), size, images}, {device, at(stream)});
    }
    void finish(double count, bool rescaled, double step, double pseudocount, double momentum, double correction,
                int device, std::uintptr_t stream) const {
        refuse_null({address(em_.memory.flow), address(em_.memory.totals), address(em_.memory.expected)});
        pc::cuda::em_finish(em_, rule(rescaled, step, pseudocount, momentum, correction), count, {device, at(stream)});
    }
    void draw(std::uintptr_t codes, int size, std::int64_t images, std::int64_t repeats, std::uintptr_t uniforms,
              std::uintptr_t states, std::uintptr_t values, int device, std::uintptr_t stream) const {
        refuse_null({codes, uniforms, states, values});
        pc::cuda::em_draw(em_, {at(codes), nullptr, nullptr, size, images}, repeats, at(uniforms), at(states),
                          at(values), {device, at(stream)});
    }

private:
    static std::uintptr_t address(const void* memory) { return reinterpret_cast<std::uintptr_t>(memory); }
    static pc::UpdateRule rule(bool rescaled, double step, double pseudocount, double momentum, double correction) {
        return {rescaled, static_cast<float>(step), static_cast<float>(pseudocount), static_cast<float>(momentum),
                static_cast<float>(correction)};
    }

    pc::cuda::Em em_;
};

void register_em(py::module_& module) {
    py::class_<Em>(module, "Em")
        .def(py::init<std::uintptr_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                      std::vector<std::int32_t>, std::uintptr_t, std::uintptr_t, std::uintptr_t, std::uintptr_t,
                      std::uintptr_t, std::uintptr_t, std::uintptr_t, std::uintptr_t, std::uintptr_t, std::uintptr_t,
                      std::int64_t>(),
             py::kw_only(), py::arg("plan"), py::arg("nodes"), py::arg("variables"), py::arg("edge_jobs"),
             py::arg("leaf_jobs"), py::arg("update_jobs"), py::arg("levels"), py::arg("tables"), py::arg("flow"),
             py::arg("average"), py::arg("totals"), py::arg("likelihood"), py::arg("message"), py::arg("posterior"),
             py::arg("expected"), py::arg("exponent"), py::arg("log_prob"), py::arg("stride"))
        .def("log_prob", &Em::log_prob, py::kw_only(), py::arg("codes"), py::arg("size"), py::arg("images"),
             py::arg("device"), py::arg("stream"))
        .def("step", &Em::step, py::kw_only(), py::arg("codes"), py::arg("sorted"), py::arg("order"), py::arg("size"),
             py::arg("images"), py::arg("rescaled"), py::arg("step"), py::arg("pseudocount"), py::arg("momentum"),
             py::arg("correction"), py::arg("device"), py::arg("stream"))
        .def("accumulate", &Em::accumulate, py::kw_only(), py::arg("codes"), py::arg("sorted"), py::arg("order"),
             py::arg("size"), py::arg("images"), py::arg("device"), py::arg("stream"))
        .def("finish", &Em::finish, py::kw_only(), py::arg("count"), py::arg("rescaled"), py::arg("step"),
             py::arg("pseudocount"), py::arg("momentum"), py::arg("correction"), py::arg("device"), py::arg("stream"))
        .def("draw", &Em::draw, py::kw_only(), py::arg("codes"), py::arg("size"), py::arg("images"), py::arg("repeats"),
             py::arg("uniforms"), py::arg("states"), py::arg("values"), py::arg("device"), py::arg("stream"));
}

}  // namespace

void register_cuda_pc(py::module_& module) {
    register_em(module);
    py::class_<Codec>(module, "Codec")
        .def(py::init<std::uintptr_t, std::uintptr_t, std::int64_t, std::int64_t, std::int64_t, std::int32_t,
                      std::int32_t>(),
             py::kw_only(), py::arg("operations"), py::arg("tables"), py::arg("count"), py::arg("variables"),
             py::arg("lane_floats"), py::arg("factor"), py::arg("wide"))
        .def("encode_scratch", &Codec::encode_scratch, py::arg("rows"), py::arg("device"))
        .def("decode_scratch", &Codec::decode_scratch, py::arg("blocks"), py::arg("streams"), py::arg("device"))
        .def("encode", &Codec::encode, py::kw_only(), py::arg("cells"), py::arg("size"), py::arg("rows"),
             py::arg("blocks"), py::arg("count"), py::arg("intervals"), py::arg("bad"), py::arg("scratch"),
             py::arg("out"), py::arg("length"), py::arg("status"), py::arg("device"), py::arg("stream"))
        .def("decode", &Codec::decode, py::kw_only(), py::arg("input"), py::arg("blocks"), py::arg("count"),
             py::arg("streams"), py::arg("cells"), py::arg("size"), py::arg("scratch"), py::arg("status"),
             py::arg("device"), py::arg("stream"));
    py::class_<Likelihood>(module, "Likelihood")
        .def(py::init<std::uintptr_t, std::uintptr_t, std::int64_t, std::int64_t, std::int64_t>(), py::kw_only(),
             py::arg("operations"), py::arg("tables"), py::arg("count"), py::arg("variables"), py::arg("warp_floats"))
        .def("scratch", &Likelihood::scratch, py::arg("images"), py::arg("device"))
        .def("log_prob", &Likelihood::log_prob, py::kw_only(), py::arg("codes"), py::arg("size"), py::arg("images"),
             py::arg("scratch"), py::arg("out"), py::arg("device"), py::arg("stream"));
}
