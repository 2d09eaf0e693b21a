#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "bindings/addresses.hpp"
#include "bindings/gil.hpp"
#include "bindings/register.hpp"
#include "nlse/integrator.hpp"
#include "support/isa.hpp"

namespace py = pybind11;
using namespace fourfold;

namespace {

nlse::Part part_of(const std::string& name) {
    if (name == "nonlinearity") return nlse::Part::nonlinearity;
    if (name == "potential") return nlse::Part::potential;
    if (name == "loss") return nlse::Part::loss;
    throw py::value_error("no part of the medium is called " + name);
}

// Addresses of the arrays of derivatives by name; what is not wanted is left out.
nlse::Sensitivities sensitivities_of(const std::map<std::string, Address>& sums) {
    const auto find = [&](const char* name) {
        const auto found = sums.find(name);
        return found == sums.end() ? nullptr : at<double>(found->second);
    };
    return {find("nonlinearity"),
            find("potential"),
            find("loss"),
            find("omega"),
            {find("nonlinearity_rows"), find("nonlinearity_coefficients")},
            {find("potential_rows"), find("potential_coefficients")},
            {find("loss_rows"), find("loss_coefficients")}};
}

// A Python function of time that returns float64 values through the buffer protocol.
std::function<void(double, double*, std::size_t)> time_function(const py::object& function) {
    if (function.is_none()) return {};
    return [function](double time, double* out, std::size_t count) {
        const py::gil_scoped_acquire gil;
        const py::buffer_info values = py::buffer(function(time)).request();
        if (values.itemsize != sizeof(double) || static_cast<std::size_t>(values.size) != count) {
            throw py::value_error("a function of time returned a buffer of another size");
        }
        std::memcpy(out, values.ptr, count * sizeof(double));
    };
}

template <class T>
void register_integrator(py::module_& module, const char* name) {
    using Integrator = nlse::Integrator<T>;
    py::class_<Integrator>(module, name)
        .def(py::init([](std::size_t n, std::size_t batch, const std::string& method, int order, double step,
                         double rtol, double atol, double t_start, double t_end, Address omega, Address filter,
                         Address nonlinearity, bool shared_nonlinearity, Address potential, bool shared_potential,
                         Address loss, bool shared_loss) {
                 const nlse::Options options{method, order, step, rtol, atol, t_start, t_end};
                 const nlse::Coefficients coefficients{at<const double>(omega),
                                                       at<const double>(filter),
                                                       at<const double>(nonlinearity),
                                                       at<const double>(potential),
                                                       at<const double>(loss),
                                                       shared_nonlinearity,
                                                       shared_potential,
                                                       shared_loss};
                 const GilReleased released;
                 return std::make_unique<Integrator>(n, batch, options, coefficients);
             }),
             py::kw_only(), py::arg("n"), py::arg("batch"), py::arg("method"), py::arg("order"), py::arg("step"),
             py::arg("rtol"), py::arg("atol"), py::arg("t_start"), py::arg("t_end"), py::arg("omega"),
             py::arg("filter"), py::arg("nonlinearity"), py::arg("shared_nonlinearity"), py::arg("potential"),
             py::arg("shared_potential"), py::arg("loss"), py::arg("shared_loss"))
        .def(
            "vary",
            [](Integrator& self, const std::string& part, std::size_t terms, Address rows, bool shared, Address pieces,
               Address knots, Address coefficients, const py::object& function) {
                self.vary(part_of(part),
                          {terms, at<const double>(rows), shared, at<const std::int64_t>(pieces),
                           at<const double>(knots), at<const double>(coefficients), time_function(function)});
            },
            py::kw_only(), py::arg("part"), py::arg("terms"), py::arg("rows") = 0, py::arg("shared"),
            py::arg("pieces") = 0, py::arg("knots") = 0, py::arg("coefficients") = 0, py::arg("function") = py::none())
        .def(
            "advance",
            [](Integrator& self, Address psi, double t0, double t1, int threads) {
                nlse::Failure failure{};
                const Signals signals;
                {
                    const GilReleased released;
                    failure = self.advance(at<T>(psi), t0, t1, threads, [&] { return signals.arrived(); });
                }
                // Cancelled because a signal's handler raised: let its exception go on.
                if (failure.status == nlse::Status::cancelled) throw py::error_already_set();
                return py::make_tuple(static_cast<int>(failure.status), failure.realisation, failure.time);
            },
            py::arg("psi"), py::arg("t0"), py::arg("t1"), py::arg("threads"))
        .def("duration", &Integrator::duration, py::arg("t0"), py::arg("t1"))
        .def(
            "backward",
            [](Integrator& self, Address psi_start, Address psi_end, Address cotangent, double t0, double duration,
               Address first_steps, bool reversible, double tolerance, const std::map<std::string, Address>& sums,
               int threads) {
                nlse::Failure failure{};
                const Signals signals;
                {
                    const nlse::Sensitivities sensitivities = sensitivities_of(sums);
                    const GilReleased released;
                    failure = self.backward(at<const T>(psi_start), at<const T>(psi_end), at<T>(cotangent), t0,
                                            duration, at<const double>(first_steps), reversible, tolerance,
                                            sensitivities, threads, [&] { return signals.arrived(); });
                }
                if (failure.status == nlse::Status::cancelled) throw py::error_already_set();
                return py::make_tuple(static_cast<int>(failure.status), failure.realisation, failure.time,
                                      failure.error);
            },
            py::kw_only(), py::arg("psi_start"), py::arg("psi_end"), py::arg("cotangent"), py::arg("t0"),
            py::arg("duration"), py::arg("first_steps"), py::arg("reversible"), py::arg("tolerance"), py::arg("sums"),
            py::arg("threads"))
        .def("counters",
             [](const Integrator& self) {
                 const nlse::Counters sum = self.counters();
                 return py::make_tuple(sum.steps, sum.rejected, sum.transforms, sum.last_step);
             })
        .def(
            "control", [](const Integrator& self, Address next_steps) { return self.control(at<double>(next_steps)); },
            py::arg("next_steps"))
        .def(
            "restore_control",
            [](Integrator& self, double duration, Address next_steps) {
                self.restore_control(duration, at<const double>(next_steps));
            },
            py::arg("duration"), py::arg("next_steps"));
}

template <class T>
void transform(Address in, Address out, std::size_t n, std::size_t batch, bool inverse) {
    const GilReleased released;
    const nlse::Kernels<T>& kernels = nlse::kernels<T>();
    const FftPlan<T> plan(n, kernels.lanes(n));
    AlignedBuffer<T> work(2 * n);
    for (std::size_t b = 0; b < batch; ++b) {
        kernels.transform(plan, at<const T>(in) + 2 * n * b, at<T>(out) + 2 * n * b, work.data(), inverse);
    }
}

}  // namespace

void register_nlse(py::module_& module) {
    register_integrator<float>(module, "IntegratorComplex64");
    register_integrator<double>(module, "IntegratorComplex128");
    module.def("fft_complex64", transform<float>, py::arg("input"), py::arg("output"), py::arg("n"), py::arg("batch"),
               py::arg("inverse"));
    module.def("fft_complex128", transform<double>, py::arg("input"), py::arg("output"), py::arg("n"), py::arg("batch"),
               py::arg("inverse"));
}
