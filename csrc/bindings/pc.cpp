#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "bindings/addresses.hpp"
#include "bindings/gil.hpp"
#include "bindings/register.hpp"
#include "pc/model.hpp"
#include "pc/mutual_information.hpp"
#include "pc/trainer.hpp"

namespace py = pybind11;
using namespace fourfold;

namespace {

pc::Tree tree(std::size_t nodes, std::size_t variables, Address parent, Address states, Address leaf_node,
              Address cardinality) {
    return {nodes,
            variables,
            at<const std::int32_t>(parent),
            at<const std::int32_t>(states),
            at<const std::int32_t>(leaf_node),
            at<const std::int32_t>(cardinality)};
}

pc::Codes codes(Address data, int bytes, Address order = 0) {
    return {at<const void>(data), bytes, at<const std::int64_t>(order)};
}

void register_model(py::module_& module) {
    using pc::Model;
    py::class_<Model>(module, "Model")
        .def(py::init([](std::size_t nodes, std::size_t variables, Address parent, Address states, Address leaf_node,
                         Address cardinality, Address offsets, Address packed) {
                 const GilReleased released;
                 return std::make_unique<Model>(tree(nodes, variables, parent, states, leaf_node, cardinality),
                                                at<const std::int64_t>(offsets), at<const float>(packed));
             }),
             py::kw_only(), py::arg("nodes"), py::arg("variables"), py::arg("parent"), py::arg("states"),
             py::arg("leaf_node"), py::arg("cardinality"), py::arg("offsets"), py::arg("packed"))
        .def(
            "log_prob",
            [](const Model& self, Address data, int bytes, std::size_t count, Address out, int threads) {
                const GilReleased released;
                self.log_prob(codes(data, bytes), count, at<double>(out), threads);
            },
            py::arg("codes"), py::arg("bytes"), py::arg("count"), py::arg("out"), py::arg("threads"))
        .def(
            "posteriors",
            [](const Model& self, Address data, int bytes, std::size_t count, const std::vector<std::int64_t>& nodes,
               Address out, Address log_prob, int threads) {
                const GilReleased released;
                self.posteriors(codes(data, bytes), count, nodes, at<float>(out), at<double>(log_prob), threads);
            },
            py::arg("codes"), py::arg("bytes"), py::arg("count"), py::arg("nodes"), py::arg("out"), py::arg("log_prob"),
            py::arg("threads"))
        .def(
            "sample",
            [](const Model& self, Address data, int bytes, std::size_t count, std::size_t repeats, Address uniforms,
               Address values, Address log_prob, int threads) {
                const GilReleased released;
                self.sample(codes(data, bytes), count, repeats, at<const double>(uniforms), at<std::int32_t>(values),
                            at<double>(log_prob), threads);
            },
            py::arg("codes"), py::arg("bytes"), py::arg("count"), py::arg("repeats"), py::arg("uniforms"),
            py::arg("values"), py::arg("log_prob"), py::arg("threads"))
        .def(
            "gradient",
            [](const Model& self, Address data, int bytes, std::size_t count, Address weight, Address out,
               int threads) {
                const GilReleased released;
                self.gradient(codes(data, bytes), count, at<const float>(weight), at<float>(out), threads);
            },
            py::arg("codes"), py::arg("bytes"), py::arg("count"), py::arg("weight"), py::arg("out"), py::arg("threads"))
        .def(
            "most_probable",
            [](const Model& self, Address data, int bytes, std::size_t count, Address values, Address states,
               Address log_joint, int threads) {
                const GilReleased released;
                self.most_probable(codes(data, bytes), count, at<std::int32_t>(values), at<std::int32_t>(states),
                                   at<double>(log_joint), threads);
            },
            py::arg("codes"), py::arg("bytes"), py::arg("count"), py::arg("values"), py::arg("states"),
            py::arg("log_joint"), py::arg("threads"));
}

pc::UpdateRule rule(bool rescaled, double step, double pseudocount, double momentum, double correction) {
    return {rescaled, static_cast<float>(step), static_cast<float>(pseudocount), static_cast<float>(momentum),
            static_cast<float>(correction)};
}

void register_trainer(py::module_& module) {
    using pc::Trainer;
    py::class_<Trainer>(module, "Trainer")
        .def(py::init([](std::size_t nodes, std::size_t variables, Address parent, Address states, Address leaf_node,
                         Address cardinality, Address offsets, Address packed, std::size_t capacity, bool keep_average,
                         bool keep_totals, int threads) {
                 const GilReleased released;
                 auto trainer = std::make_unique<Trainer>(
                     tree(nodes, variables, parent, states, leaf_node, cardinality), at<const std::int64_t>(offsets),
                     capacity, keep_average, keep_totals, threads);
                 trainer->load(at<const float>(packed));
                 return trainer;
             }),
             py::kw_only(), py::arg("nodes"), py::arg("variables"), py::arg("parent"), py::arg("states"),
             py::arg("leaf_node"), py::arg("cardinality"), py::arg("offsets"), py::arg("packed"), py::arg("capacity"),
             py::arg("keep_average"), py::arg("keep_totals"), py::arg("threads"))
        .def(
            "step",
            [](Trainer& self, Address data, int bytes, Address order, std::size_t count, bool rescaled, double step,
               double pseudocount, double momentum, double correction, Address log_prob) {
                const GilReleased released;
                self.step(codes(data, bytes, order), count, rule(rescaled, step, pseudocount, momentum, correction),
                          at<double>(log_prob));
            },
            py::arg("codes"), py::arg("bytes"), py::arg("order"), py::arg("count"), py::arg("rescaled"),
            py::arg("step"), py::arg("pseudocount"), py::arg("momentum"), py::arg("correction"), py::arg("log_prob"))
        .def(
            "accumulate",
            [](Trainer& self, Address data, int bytes, Address order, std::size_t count, Address log_prob) {
                const GilReleased released;
                self.accumulate(codes(data, bytes, order), count, at<double>(log_prob));
            },
            py::arg("codes"), py::arg("bytes"), py::arg("order"), py::arg("count"), py::arg("log_prob"))
        .def(
            "finish",
            [](Trainer& self, double count, bool rescaled, double step, double pseudocount, double momentum,
               double correction) {
                const GilReleased released;
                self.finish(rule(rescaled, step, pseudocount, momentum, correction), count);
            },
            py::arg("count"), py::arg("rescaled"), py::arg("step"), py::arg("pseudocount"), py::arg("momentum"),
            py::arg("correction"))
        .def("load", [](Trainer& self, Address packed) { self.load(at<const float>(packed)); })
        .def("store", [](const Trainer& self, Address packed) { self.store(at<float>(packed)); })
        .def("load_average", [](Trainer& self, Address packed) { self.load_average(at<const float>(packed)); })
        .def("store_average", [](const Trainer& self, Address packed) { self.store_average(at<float>(packed)); })
        .def("store_totals", [](const Trainer& self, Address packed) { self.store_totals(at<float>(packed)); });
}

}  // namespace

void register_pc(py::module_& module) {
    register_model(module);
    register_trainer(module);
    module.def(
        "mutual_information",
        [](std::size_t variables, Address bins, Address first, Address lower, Address share, Address data, int bytes,
           Address order, std::size_t count, Address out, int threads) {
            const GilReleased released;
            const pc::Binning binning{variables, at<const std::int32_t>(bins), at<const std::int64_t>(first),
                                      at<const std::int32_t>(lower), at<const float>(share)};
            pc::mutual_information(binning, codes(data, bytes, order), count, at<double>(out), threads);
        },
        py::kw_only(), py::arg("variables"), py::arg("bins"), py::arg("first"), py::arg("lower"), py::arg("share"),
        py::arg("codes"), py::arg("bytes"), py::arg("order"), py::arg("count"), py::arg("out"), py::arg("threads"));
}
