#include <pybind11/pybind11.h>

#include <cstdint>
#include <stdexcept>
#include <string>

#include "bindings/addresses.hpp"
#include "bindings/cuda_register.hpp"
#include "nlse/ensemble_flows.hpp"
#include "nlse/field_flows_cuda.hpp"

namespace py = pybind11;
using namespace fourfold;

namespace {

// A run of fields whose transforms are torch's: tables, then, for each interval, begin() and its flows one by one.
// Checked in Python. Calls queue work on a stream and return.
class Fields {
public:
    Fields(std::size_t n, std::size_t batch, const std::string& method, bool single, bool shared_nonlinearity,
           bool shared_potential, bool shared_loss, bool lossy)
        : ensemble_{n,           batch, single, nlse::splitting_program(method), shared_nonlinearity, shared_potential,
                    shared_loss, lossy, true} {}

    std::size_t tables_size() const { return nlse::cuda::tables_size(ensemble_); }
    bool kinetic_first() const { return ensemble_.program.kinetic_first; }

    void build_tables(double step, Address omega, Address filter, Address loss, Address tables, int device,
                      Address stream) const {
        refuse_null({omega, tables});
        if (ensemble_.lossy) refuse_null({loss});
        nlse::cuda::build_tables(ensemble_, step, static_cast<const double*>(at(omega)), at(filter), at(loss),
                                 at(tables), {device, at(stream)});
    }

    // The number of kinetic flows of so many steps; there is a potential flow between two.
    std::int32_t begin(double step, std::int32_t steps, Address nonlinearity, Address potential, Address tables,
                       int device, Address stream) {
        refuse_null({nonlinearity, tables});
        step_ = step;
        flows_ = nlse::ensemble_flows(ensemble_.program, steps);
        nonlinearity_ = at(nonlinearity);
        potential_ = at(potential);
        tables_ = at(tables);
        queue_ = {device, at(stream)};
        return flows_.count;
    }

    // Kinetic flow number k of the spectrum psi; the potential flow before it, k = count for that at the end.
    void kinetic(std::int32_t k, Address psi) const {
        refuse_null({psi});
        nlse::cuda::kinetic_flow(ensemble_, flows_.kinetic_of(k), at(psi), tables_, queue_);
    }
    void potential(std::int32_t k, Address psi, Address out) const {
        refuse_null({psi, out});
        nlse::cuda::potential_flow(ensemble_, potential_slot(k), step_, at(psi), at(out), nonlinearity_, potential_,
                                   tables_, queue_);
    }

    // For the way back; begin() as for the way there.
    std::int64_t flows(std::int64_t steps) const { return nlse::cuda::flows_of(ensemble_, steps); }
    unsigned sums_of_row() const { return nlse::cuda::sums_of_row(ensemble_); }
    std::size_t slopes_size() const { return nlse::cuda::slopes_size(ensemble_); }

    void build_slopes(double step, Address loss, Address slopes, int device, Address stream) const {
        refuse_null({loss, slopes});
        nlse::cuda::build_slopes(ensemble_, step, at(loss), at(slopes), {device, at(stream)});
    }

    void kinetic_adjoint(std::int32_t k, Address cotangent, Address spectrum, Address sum_omega) const {
        refuse_null({cotangent});
        if (sum_omega != 0) refuse_null({spectrum});
        nlse::cuda::kinetic_adjoint(ensemble_, flows_.kinetic_of(k), step_, at(cotangent), at(spectrum),
                                    at<double>(sum_omega), tables_, queue_);
    }
    void potential_adjoint(std::int32_t k, Address psi, Address cotangent, Address slopes, Address sum_nonlinearity,
                           Address sum_potential, Address sum_loss) const {
        refuse_null({psi, cotangent});
        if (sum_loss != 0) refuse_null({slopes});
        nlse::cuda::potential_adjoint(
            ensemble_, potential_slot(k), step_, at(psi), at(cotangent), at(slopes),
            {at<double>(sum_nonlinearity), at<double>(sum_potential), at<double>(sum_loss), nullptr},
            {nonlinearity_, potential_, nullptr, tables_}, queue_);
    }

private:
    int potential_slot(std::int32_t k) const {
        const int slot = flows_.potential_before(k);
        if (slot == nlse::EnsembleFlows::kNone) throw std::logic_error("no potential flow is there");
        return slot;
    }

    nlse::cuda::Ensemble ensemble_;
    nlse::EnsembleFlows flows_{};
    double step_ = 0;
    const void* nonlinearity_ = nullptr;
    const void* potential_ = nullptr;
    const void* tables_ = nullptr;
    Queue queue_{};
};

}  // namespace

void register_cuda_nlse_fields(py::module_& module) {
    py::class_<Fields>(module, "Fields")
        .def(py::init<std::size_t, std::size_t, const std::string&, bool, bool, bool, bool, bool>(), py::kw_only(),
             py::arg("n"), py::arg("batch"), py::arg("method"), py::arg("single"), py::arg("shared_nonlinearity"),
             py::arg("shared_potential"), py::arg("shared_loss"), py::arg("lossy"))
        .def_property_readonly("kinetic_first", &Fields::kinetic_first)
        .def("tables_size", &Fields::tables_size)
        .def("build_tables", &Fields::build_tables, py::kw_only(), py::arg("step"), py::arg("omega"), py::arg("filter"),
             py::arg("loss"), py::arg("tables"), py::arg("device"), py::arg("stream"))
        .def("begin", &Fields::begin, py::kw_only(), py::arg("step"), py::arg("steps"), py::arg("nonlinearity"),
             py::arg("potential"), py::arg("tables"), py::arg("device"), py::arg("stream"))
        .def("kinetic", &Fields::kinetic, py::arg("k"), py::arg("psi"))
        .def("potential", &Fields::potential, py::arg("k"), py::arg("psi"), py::arg("out"))
        .def("flows", &Fields::flows, py::arg("steps"))
        .def("sums_of_row", &Fields::sums_of_row)
        .def("slopes_size", &Fields::slopes_size)
        .def("build_slopes", &Fields::build_slopes, py::kw_only(), py::arg("step"), py::arg("loss"), py::arg("slopes"),
             py::arg("device"), py::arg("stream"))
        .def("kinetic_adjoint", &Fields::kinetic_adjoint, py::arg("k"), py::kw_only(), py::arg("cotangent"),
             py::arg("spectrum"), py::arg("sum_omega"))
        .def("potential_adjoint", &Fields::potential_adjoint, py::arg("k"), py::kw_only(), py::arg("psi"),
             py::arg("cotangent"), py::arg("slopes"), py::arg("sum_nonlinearity"), py::arg("sum_potential"),
             py::arg("sum_loss"));
}
