#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

#include "bindings/addresses.hpp"
#include "bindings/cuda_register.hpp"
#include "gp/state_space_cuda.hpp"

namespace py = pybind11;
using namespace fourfold;

namespace {

// A batch of series, checked in Python. Calls queue work on a stream and return.
class StateSpace {
public:
    StateSpace(const std::vector<int>& order, const std::vector<double>& rate, const std::vector<double>& variance,
               std::size_t series, std::size_t count)
        : model_(gp::cuda::gpu_model(order, rate, variance)) {
        if (series > std::numeric_limits<std::int32_t>::max() || count > std::numeric_limits<std::int32_t>::max()) {
            throw std::invalid_argument("a batch has less than 2^31 series and times");
        }
        all_.series = series;
        all_.count = count;
    }

    int size() const { return model_.size; }
    std::size_t scratch_count() const { return gp::cuda::state_space_scratch(model_, all_.series, all_.count); }

    // The data: time, value, noise, observed.
    using Data = std::array<Address, 4>;

    void likelihood(const Data& data, Address reached, Address predicted, Address log_likelihood, Address by_noise,
                    Address by_rate, Address by_log_variance, Address scratch, int device, Address stream) const {
        if (all_.series == 0) return;
        refuse_null({log_likelihood, by_noise, by_rate, by_log_variance});
        const gp::GpuLikelihood out{at<double>(log_likelihood), at<double>(by_noise), at<double>(by_rate),
                                    at<double>(by_log_variance)};
        gp::cuda::state_space_likelihood(model_, series_of(data, reached, predicted, scratch), at<double>(data[0]), out,
                                         at<double>(scratch), {device, at(stream)});
    }

    void posterior(const Data& data, Address reached, Address predicted, Address place, Address mean, Address variance,
                   Address scratch, int device, Address stream) const {
        if (all_.series == 0 || all_.count == 0) return;
        refuse_null({place, mean, variance});
        const gp::GpuPosterior out{at<std::int32_t>(place), at<double>(mean), at<double>(variance)};
        gp::cuda::state_space_posterior(model_, series_of(data, reached, predicted, scratch), at<double>(data[0]), out,
                                        at<double>(scratch), {device, at(stream)});
    }

private:
    gp::GpuSeries series_of(const Data& data, Address reached, Address predicted, Address scratch) const {
        refuse_null({reached, predicted, scratch});
        if (all_.count > 0) refuse_null({data[0], data[1], data[2], data[3]});
        gp::GpuSeries all = all_;
        all.value = at<const double>(data[1]);
        all.noise = at<const double>(data[2]);
        all.observed = at<const std::uint8_t>(data[3]);
        all.reached = at<int>(reached);
        all.predicted = at<double>(predicted);
        return all;
    }

    gp::GpuModel model_;
    gp::GpuSeries all_{};
};

}  // namespace

void register_cuda_gp_series(py::module_& module) {
    py::class_<StateSpace>(module, "StateSpace")
        .def(py::init<const std::vector<int>&, const std::vector<double>&, const std::vector<double>&, std::size_t,
                      std::size_t>(),
             py::kw_only(), py::arg("order"), py::arg("rate"), py::arg("variance"), py::arg("series"), py::arg("count"))
        .def("size", &StateSpace::size)
        .def("scratch_count", &StateSpace::scratch_count)
        .def("likelihood", &StateSpace::likelihood, py::kw_only(), py::arg("data"), py::arg("reached"),
             py::arg("predicted"), py::arg("log_likelihood"), py::arg("by_noise"), py::arg("by_rate"),
             py::arg("by_log_variance"), py::arg("scratch"), py::arg("device"), py::arg("stream"))
        .def("posterior", &StateSpace::posterior, py::kw_only(), py::arg("data"), py::arg("reached"),
             py::arg("predicted"), py::arg("place"), py::arg("mean"), py::arg("variance"), py::arg("scratch"),
             py::arg("device"), py::arg("stream"));
}
