#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "bindings/addresses.hpp"
#include "bindings/cuda_register.hpp"
#include "gp/small_system_cuda.hpp"

namespace py = pybind11;
using namespace fourfold;

namespace {

using Address = std::uintptr_t;

template <class T>
T* to(Address address) {
    return reinterpret_cast<T*>(address);
}

// The shape of a call, checked in Python. Calls queue work on a stream and return.
template <class T>
class SmallSystem {
public:
    SmallSystem(std::int64_t batch, std::int64_t count, const std::vector<int>& sizes,
                const std::vector<std::int64_t>& items) {
        if (sizes.size() > gp::kSmallModes || sizes.size() != items.size() || sizes.empty()) {
            throw std::invalid_argument("a small system has up to 8 modes, and as many numbers of factors");
        }
        system_.d = static_cast<int>(sizes.size());
        system_.total = 1;
        system_.batch = batch;
        system_.count = count;
        std::int64_t basis = 0, values = 0, total = 1;
        for (std::size_t k = 0; k < sizes.size(); ++k) {
            system_.sizes[k] = sizes[k];
            system_.items[k] = items[k];
            system_.basis[k] = basis;
            system_.values[k] = values;
            basis += items[k] * sizes[k] * sizes[k];
            values += batch * sizes[k];
            total = std::min<std::int64_t>(total * sizes[k], 1 << 24);  // beyond any shared memory
        }
        system_.total = static_cast<int>(total);
    }

    bool fits(int device) const { return gp::cuda::fits(system_, sizeof(T), device); }
    std::size_t status_count() const { return gp::cuda::status_count(system_); }
    std::size_t workspace_count() const { return gp::cuda::workspace_count(system_); }

    void forward(const std::vector<Address>& factors, Address noise, Address y, double limit, Address basis,
                 Address values, Address x, Address quad, Address logdet, Address status, int device,
                 Address stream) const {
        refuse_null({noise, basis, values, logdet, status});
        if (system_.count > 0) refuse_null({y, x, quad});
        std::vector<const T*> list;
        for (const Address factor : factors) {
            refuse_null({factor});
            list.push_back(to<const T>(factor));
        }
        gp::cuda::spectral_forward<T>(system_, list.data(), to<const T>(noise), to<const T>(y), limit, to<T>(basis),
                                      to<T>(values), to<T>(x), to<T>(quad), to<T>(logdet), to<int>(status),
                                      {device, at(stream)});
    }

    void backward(Address basis, Address values, Address noise, Address x, Address grad_quad, Address grad_logdet,
                  const std::vector<bool>& wanted, Address grad_factors, Address grad_noise, Address grad_y,
                  Address middles, int device, Address stream) const {
        refuse_null({basis, values, noise, grad_logdet, grad_factors, grad_noise});
        if (system_.count > 0) refuse_null({x, grad_quad});
        if (workspace_count() > 0) refuse_null({middles});
        gp::SmallSystem system = system_;
        std::copy_n(wanted.begin(), system.d, system.wanted);
        gp::cuda::spectral_backward<T>(system, to<const T>(basis), to<const T>(values), to<const T>(noise),
                                       to<const T>(x), to<const T>(grad_quad), to<const T>(grad_logdet),
                                       to<T>(grad_factors), to<T>(grad_noise), to<T>(grad_y), to<T>(middles),
                                       {device, at(stream)});
    }

private:
    gp::SmallSystem system_{};
};

template <class T>
void register_small_system(py::module_& module, const char* name) {
    using System = SmallSystem<T>;
    py::class_<System>(module, name)
        .def(py::init<std::int64_t, std::int64_t, const std::vector<int>&, const std::vector<std::int64_t>&>(),
             py::kw_only(), py::arg("batch"), py::arg("count"), py::arg("sizes"), py::arg("items"))
        .def("fits", &System::fits, py::arg("device"))
        .def("status_count", &System::status_count)
        .def("workspace_count", &System::workspace_count)
        .def("forward", &System::forward, py::kw_only(), py::arg("factors"), py::arg("noise"), py::arg("y"),
             py::arg("limit"), py::arg("basis"), py::arg("values"), py::arg("x"), py::arg("quad"), py::arg("logdet"),
             py::arg("status"), py::arg("device"), py::arg("stream"))
        .def("backward", &System::backward, py::kw_only(), py::arg("basis"), py::arg("values"), py::arg("noise"),
             py::arg("x"), py::arg("grad_quad"), py::arg("grad_logdet"), py::arg("wanted"), py::arg("grad_factors"),
             py::arg("grad_noise"), py::arg("grad_y"), py::arg("middles"), py::arg("device"), py::arg("stream"));
}

}  // namespace

void register_cuda_gp(py::module_& module) {
    register_small_system<float>(module, "SmallSystem_float32");
    register_small_system<double>(module, "SmallSystem_float64");
    module.def("eigh_fits", gp::cuda::eigh_fits, py::arg("n"), py::arg("device"));
    module.def(
        "eigh",
        [](std::size_t batch, int n, Address a, double limit, Address values, Address vectors, Address status,
           int device, Address stream) {
            refuse_null({a, values, vectors, status});
            gp::cuda::eigh(batch, n, to<const double>(a), limit, to<double>(values), to<double>(vectors),
                           to<int>(status), {device, at(stream)});
        },
        py::kw_only(), py::arg("batch"), py::arg("n"), py::arg("a"), py::arg("limit"), py::arg("values"),
        py::arg("vectors"), py::arg("status"), py::arg("device"), py::arg("stream"));
}
