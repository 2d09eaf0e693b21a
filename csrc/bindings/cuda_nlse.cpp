#include <pybind11/pybind11.h>

#include <cstdint>
#include <cstring>
#include <string>

#include "bindings/addresses.hpp"
#include "bindings/cuda_register.hpp"
#include "nlse/ensemble_adjoint_cuda.hpp"
#include "nlse/ensemble_cuda.hpp"
#include "nlse/fixed_steps.hpp"
#include "support/cuda_device.hpp"

namespace py = pybind11;
using namespace fourfold;

namespace {

// A run of an ensemble, checked in Python. Calls queue work on a stream and return.
class Ensemble {
public:
    Ensemble(std::size_t n, std::size_t batch, const std::string& method, bool single, bool shared_nonlinearity,
             bool shared_potential, bool shared_loss, bool lossy)
        : ensemble_{n,           batch, single, nlse::splitting_program(method), shared_nonlinearity, shared_potential,
                    shared_loss, lossy} {}

    std::size_t shared_memory() const { return nlse::cuda::shared_memory(ensemble_); }
    std::size_t tables_size() const { return nlse::cuda::tables_size(ensemble_); }

    // The duration of the interval as the CPU takes it, and how many steps that are not longer than `step` it has. To
    // be asked for all intervals of a run in their order.
    py::tuple interval(double t0, double t1, double step) {
        duration_ = nlse::kept_duration(duration_, t0, t1);
        return py::make_tuple(duration_, nlse::fixed_steps(duration_, step));
    }

    void build_tables(double step, std::uintptr_t omega, std::uintptr_t filter, std::uintptr_t loss,
                      std::uintptr_t tables, int device, std::uintptr_t stream) const {
        refuse_null({omega, tables});
        if (ensemble_.lossy) refuse_null({loss});
        nlse::cuda::build_tables(ensemble_, step, static_cast<const double*>(at(omega)), at(filter), at(loss),
                                 at(tables), {device, at(stream)});
    }

    void advance(double step, std::int64_t steps, std::uintptr_t psi, std::uintptr_t out, std::uintptr_t nonlinearity,
                 std::uintptr_t potential, std::uintptr_t twiddles, std::uintptr_t tables, int device,
                 std::uintptr_t stream) const {
        refuse_null({psi, out, nonlinearity, twiddles, tables});
        nlse::cuda::advance(ensemble_, step, steps, at(psi), at(out), at(nonlinearity), at(potential), at(twiddles),
                            at(tables), {device, at(stream)});
    }

    std::int64_t flows(std::int64_t steps) const { return nlse::cuda::flows_of(ensemble_, steps); }
    std::size_t slopes_size() const { return nlse::cuda::slopes_size(ensemble_); }

    void build_slopes(double step, std::uintptr_t loss, std::uintptr_t slopes, int device,
                      std::uintptr_t stream) const {
        refuse_null({loss, slopes});
        nlse::cuda::build_slopes(ensemble_, step, at(loss), at(slopes), {device, at(stream)});
    }

    void record(double step, std::int64_t steps, std::int64_t first, std::int64_t last, std::uintptr_t psi,
                std::uintptr_t fields, std::uintptr_t spectra, std::uintptr_t out, std::uintptr_t nonlinearity,
                std::uintptr_t potential, std::uintptr_t twiddles, std::uintptr_t tables, int device,
                std::uintptr_t stream) const {
        refuse_null({psi, nonlinearity, twiddles, tables});
        nlse::cuda::record(ensemble_, {step, steps, first, last}, at(psi), at(fields), at(spectra), at(out),
                           {at(nonlinearity), at(potential), at(twiddles), at(tables)}, {device, at(stream)});
    }

    void adjoint(double step, std::int64_t steps, std::int64_t first, std::int64_t last, std::uintptr_t cotangent,
                 std::uintptr_t fields, std::uintptr_t spectra, std::uintptr_t slopes, std::uintptr_t sum_nonlinearity,
                 std::uintptr_t sum_potential, std::uintptr_t sum_loss, std::uintptr_t sum_omega,
                 std::uintptr_t nonlinearity, std::uintptr_t potential, std::uintptr_t twiddles, std::uintptr_t tables,
                 int device, std::uintptr_t stream) const {
        refuse_null({cotangent, fields, nonlinearity, twiddles, tables});
        if (sum_loss != 0) refuse_null({slopes});
        if (sum_omega != 0) refuse_null({spectra});
        nlse::cuda::adjoint(
            ensemble_, {step, steps, first, last}, at(cotangent), at(fields), at(spectra), at(slopes),
            {at<double>(sum_nonlinearity), at<double>(sum_potential), at<double>(sum_loss), at<double>(sum_omega)},
            {at(nonlinearity), at(potential), at(twiddles), at(tables)}, {device, at(stream)});
    }

private:
    nlse::cuda::Ensemble ensemble_;
    double duration_ = 0;
};

template <class T>
py::bytes twiddles(unsigned n) {
    const auto table = nlse::ensemble_twiddles<T>(nlse::ensemble_layout(n));
    return py::bytes(reinterpret_cast<const char*>(table.data()), table.size() * sizeof(T));
}

}  // namespace

void register_cuda_nlse(py::module_& module) {
    module.attr("smallest_grid") = nlse::kSmallestEnsembleGrid;
    module.attr("largest_grid_complex64") = nlse::kLargestEnsembleGrid<float>;
    module.attr("largest_grid_complex128") = nlse::kLargestEnsembleGrid<double>;
    module.attr("points_of_thread") = nlse::kPoints;
    module.attr("most_adjoint_steps") = nlse::cuda::kMostAdjointSteps;
    module.def("shared_memory_of_block", cuda::shared_memory_of_block, py::arg("device"));
    module.def("twiddles_complex64", twiddles<float>, py::arg("n"));
    module.def("twiddles_complex128", twiddles<double>, py::arg("n"));
    py::class_<Ensemble>(module, "Ensemble")
        .def(py::init<std::size_t, std::size_t, const std::string&, bool, bool, bool, bool, bool>(), py::kw_only(),
             py::arg("n"), py::arg("batch"), py::arg("method"), py::arg("single"), py::arg("shared_nonlinearity"),
             py::arg("shared_potential"), py::arg("shared_loss"), py::arg("lossy"))
        .def("shared_memory", &Ensemble::shared_memory)
        .def("tables_size", &Ensemble::tables_size)
        .def("interval", &Ensemble::interval, py::arg("t0"), py::arg("t1"), py::arg("step"))
        .def("build_tables", &Ensemble::build_tables, py::kw_only(), py::arg("step"), py::arg("omega"),
             py::arg("filter"), py::arg("loss"), py::arg("tables"), py::arg("device"), py::arg("stream"))
        .def("advance", &Ensemble::advance, py::kw_only(), py::arg("step"), py::arg("steps"), py::arg("psi"),
             py::arg("out"), py::arg("nonlinearity"), py::arg("potential"), py::arg("twiddles"), py::arg("tables"),
             py::arg("device"), py::arg("stream"))
        .def("flows", &Ensemble::flows, py::arg("steps"))
        .def("slopes_size", &Ensemble::slopes_size)
        .def("build_slopes", &Ensemble::build_slopes, py::kw_only(), py::arg("step"), py::arg("loss"),
             py::arg("slopes"), py::arg("device"), py::arg("stream"))
        .def("record", &Ensemble::record, py::kw_only(), py::arg("step"), py::arg("steps"), py::arg("first"),
             py::arg("last"), py::arg("psi"), py::arg("fields"), py::arg("spectra"), py::arg("out"),
             py::arg("nonlinearity"), py::arg("potential"), py::arg("twiddles"), py::arg("tables"), py::arg("device"),
             py::arg("stream"))
        .def("adjoint", &Ensemble::adjoint, py::kw_only(), py::arg("step"), py::arg("steps"), py::arg("first"),
             py::arg("last"), py::arg("cotangent"), py::arg("fields"), py::arg("spectra"), py::arg("slopes"),
             py::arg("sum_nonlinearity"), py::arg("sum_potential"), py::arg("sum_loss"), py::arg("sum_omega"),
             py::arg("nonlinearity"), py::arg("potential"), py::arg("twiddles"), py::arg("tables"), py::arg("device"),
             py::arg("stream"));
}
