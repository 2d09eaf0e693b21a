#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <vector>

#include "bindings/addresses.hpp"
#include "bindings/cuda_register.hpp"
#include "nlse/ensemble_adaptive_cuda.hpp"
#include "nlse/fixed_steps.hpp"

namespace py = pybind11;
using namespace fourfold;

namespace {

// A run of an ensemble whose realisations choose their steps, checked in Python. Calls queue work on a stream and
// return.
class AdaptiveEnsemble {
public:
    AdaptiveEnsemble(std::size_t n, std::size_t batch, const std::string& method, bool single, bool shared_nonlinearity,
                     bool shared_potential, bool shared_loss, bool lossy)
        : ensemble_{n,           batch, single, nlse::splitting_program(method), shared_nonlinearity, shared_potential,
                    shared_loss, lossy} {}

    std::size_t shared_memory() const { return nlse::cuda::adaptive_shared_memory(ensemble_); }

    // From psi at t0 to out at t1; to be asked for all intervals of a run, which is `span` long, in their order.
    void advance(double t0, double t1, double span, double rtol, double atol, Address psi, Address out, Address coarse,
                 Address first, Address next, Address nonlinearity, Address potential, Address loss, Address omega,
                 Address filter, Address order, Address twiddles, int device, Address stream) {
        refuse_null({psi, out, coarse, first, next, nonlinearity, omega, order, twiddles});
        if (ensemble_.lossy) refuse_null({loss});
        duration_ = nlse::kept_duration(duration_, t0, t1);
        const nlse::cuda::AdaptiveMedium medium{at(nonlinearity), at(potential),
                                                at(loss),         at<const double>(omega),
                                                at(filter),       at<const std::int32_t>(order),
                                                at(twiddles)};
        nlse::cuda::advance_adaptively(ensemble_, medium, {rtol, atol}, duration_, nlse::smallest_step(t0, t1, span),
                                       at(psi), at(out), at(coarse), at<const double>(first), at<double>(next),
                                       {device, at(stream)});
    }

private:
    nlse::cuda::Ensemble ensemble_;
    double duration_ = 0;
};

// The index in the order of the FFT of each place of the spectrum, 64-bit integers.
py::bytes frequencies(unsigned n) {
    const nlse::EnsembleLayout layout = nlse::ensemble_layout(n);
    std::vector<std::int64_t> indices;
    for (unsigned place = 0; place < n; ++place) indices.push_back(layout.frequency(place));
    return py::bytes(reinterpret_cast<const char*>(indices.data()), indices.size() * sizeof(std::int64_t));
}

}  // namespace

void register_cuda_nlse_adaptive(py::module_& module) {
    module.attr("largest_adaptive_grid") = nlse::cuda::kLargestAdaptiveGrid;
    module.def("frequencies", frequencies, py::arg("n"));
    py::class_<AdaptiveEnsemble>(module, "AdaptiveEnsemble")
        .def(py::init<std::size_t, std::size_t, const std::string&, bool, bool, bool, bool, bool>(), py::kw_only(),
             py::arg("n"), py::arg("batch"), py::arg("method"), py::arg("single"), py::arg("shared_nonlinearity"),
             py::arg("shared_potential"), py::arg("shared_loss"), py::arg("lossy"))
        .def("shared_memory", &AdaptiveEnsemble::shared_memory)
        .def("advance", &AdaptiveEnsemble::advance, py::kw_only(), py::arg("t0"), py::arg("t1"), py::arg("span"),
             py::arg("rtol"), py::arg("atol"), py::arg("psi"), py::arg("out"), py::arg("coarse"), py::arg("first"),
             py::arg("next"), py::arg("nonlinearity"), py::arg("potential"), py::arg("loss"), py::arg("omega"),
             py::arg("filter"), py::arg("order"), py::arg("twiddles"), py::arg("device"), py::arg("stream"));
}
