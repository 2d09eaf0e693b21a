#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "bindings/addresses.hpp"
#include "bindings/gil.hpp"
#include "bindings/register.hpp"
#include "pc/em_gpu_plan.hpp"
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

// A circuit as learning and sampling on a GPU need it.
class EmPlan {
public:
    EmPlan(pc::Tree given, const std::int64_t* offsets)
        : tree_(std::move(given)), tables_(tree_, offsets), builder_(tree_, tables_) {}
    EmPlan(const EmPlan&) = delete;
    EmPlan& operator=(const EmPlan&) = delete;

    py::dict shape() const {
        const pc::EmShape& shape = builder_.shape();
        py::dict sizes;
        sizes["nodes"] = shape.nodes;
        sizes["variables"] = shape.variables;
        sizes["edge_jobs"] = shape.edge_jobs;
        sizes["leaf_jobs"] = shape.leaf_jobs;
        sizes["update_jobs"] = shape.update_jobs;
        sizes["levels"] = builder_.levels();
        return sizes;
    }
    std::size_t bytes() const { return builder_.bytes(); }
    std::size_t table_floats() const { return tables_.size(); }
    std::int64_t row() const { return builder_.row(); }
    std::int64_t message_row() const { return builder_.message_row(); }
    void write(Address plan) const { builder_.write(at<void>(plan)); }
    // Between the layout of Circuit.packed and that of the passes, with rows of ones and padding.
    void load(Address packed, Address tables) {
        const GilReleased released;
        tables_.load(at<const float>(packed));
        std::copy_n(tables_.table(0), tables_.size(), at<float>(tables));
    }
    void store(Address tables, Address packed) const {
        const GilReleased released;
        for (std::size_t t = 0; t < tables_.shapes().size(); ++t) {
            tables_.store_table(t, at<const float>(tables) + tables_.shapes()[t].start, at<float>(packed));
        }
    }

private:
    pc::Tree tree_;
    pc::Tables tables_;
    pc::EmPlanBuilder builder_;
};

void register_em_plan(py::module_& module) {
    py::class_<EmPlan>(module, "EmPlan")
        .def(py::init([](std::size_t nodes, std::size_t variables, Address parent, Address states, Address leaf_node,
                         Address cardinality, Address offsets) {
                 return std::make_unique<EmPlan>(tree(nodes, variables, parent, states, leaf_node, cardinality),
                                                 at<const std::int64_t>(offsets));
             }),
             py::kw_only(), py::arg("nodes"), py::arg("variables"), py::arg("parent"), py::arg("states"),
             py::arg("leaf_node"), py::arg("cardinality"), py::arg("offsets"))
        .def("shape", &EmPlan::shape)
        .def_property_readonly("bytes", &EmPlan::bytes)
        .def_property_readonly("table_floats", &EmPlan::table_floats)
        .def_property_readonly("row", &EmPlan::row)
        .def_property_readonly("message_row", &EmPlan::message_row)
        .def("write", &EmPlan::write, py::arg("plan"))
        .def("load", &EmPlan::load, py::arg("packed"), py::arg("tables"))
        .def("store", &EmPlan::store, py::arg("tables"), py::arg("packed"));
}

}  // namespace

void register_pc(py::module_& module) {
    register_model(module);
    register_trainer(module);
    register_em_plan(module);
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
