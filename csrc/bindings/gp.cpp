#include "gp/algebra.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <cstdint>
#include <vector>

#include "bindings/addresses.hpp"
#include "bindings/gil.hpp"
#include "bindings/register.hpp"

namespace py = pybind11;
using namespace fourfold;

namespace {

using Index = std::ptrdiff_t;
using Sizes = std::vector<Index>;
using Addresses = std::vector<Address>;

// modes: (rows, columns, address, stride of a batch item, row stride, column stride)
using ModeTuple = std::tuple<Index, Index, Address, Index, Index, Index>;

template <class T>
void mode_products(Index batch, Index count, const std::vector<ModeTuple>& modes, Address x, Address out, Address work,
                   int threads) {
    const GilReleased released;
    std::vector<gp::Mode<T>> list;
    for (const auto& [rows, columns, matrix, item, rs, cs] : modes) {
        list.push_back({rows, columns, at<const T>(matrix), item, rs, cs});
    }
    gp::mode_products<T>(batch, count, static_cast<int>(list.size()), list.data(), at<const T>(x), at<T>(out),
                         at<T>(work), threads);
}

template <class T>
void triangular_solves(Index batch, Index count, const Sizes& sizes, const Sizes& items, const Addresses& lower,
                       int sweep, Address x, Address out, int threads) {
    const GilReleased released;
    gp::triangular_solves<T>(batch, count, static_cast<int>(sizes.size()), sizes.data(), items.data(),
                             all_at<const T>(lower).data(), static_cast<gp::Sweep>(sweep), at<const T>(x), at<T>(out),
                             threads);
}

template <class T>
void spectral_divide(Index batch, Index count, const Sizes& sizes, const Addresses& values, Address noise, Address x,
                     Address quad, int threads) {
    const GilReleased released;
    gp::spectral_divide<T>(batch, count, static_cast<int>(sizes.size()), sizes.data(), all_at<const T>(values).data(),
                           at<const T>(noise), at<T>(x), at<double>(quad), threads);
}

template <class T>
void spectral_sums(Index batch, const Sizes& sizes, const Addresses& values, Address noise, Address logdet,
                   Address inverse, Address smallest, const Addresses& traces, int threads) {
    const GilReleased released;
    const std::vector<double*> to = all_at<double>(traces);
    gp::spectral_sums<T>(batch, static_cast<int>(sizes.size()), sizes.data(), all_at<const T>(values).data(),
                         at<const T>(noise), at<double>(logdet), at<double>(inverse), at<double>(smallest),
                         to.empty() ? nullptr : to.data(), threads);
}

template <class T>
void mode_gram(Index batch, Index count, const Sizes& sizes, int mode, Address x, Address z, const Addresses& values,
               Address weight, Address gram, int threads) {
    const GilReleased released;
    const std::vector<const T*> list = all_at<const T>(values);
    gp::mode_gram<T>(batch, count, static_cast<int>(sizes.size()), sizes.data(), mode, at<const T>(x), at<const T>(z),
                     list.empty() ? nullptr : list.data(), at<const T>(weight), at<T>(gram), threads);
}

// Everything packed in one vector where the header says so.
template <class T>
bool spectral_forward(Index batch, Index count, const Sizes& sizes, const Sizes& items, const Addresses& factors,
                      Address noise, Address y, double limit, Address basis, Address values, Address x, Address quad,
                      Address logdet, int threads) {
    const GilReleased released;
    const gp::SpectralSystem system{batch, count, static_cast<int>(sizes.size()), sizes.data(), items.data()};
    return gp::spectral_forward<T>(system, all_at<const T>(factors).data(), at<const T>(noise), at<const T>(y), limit,
                                   at<T>(basis), at<T>(values), at<T>(x), at<T>(quad), at<T>(logdet), threads);
}

template <class T>
void spectral_backward(Index batch, Index count, const Sizes& sizes, const Sizes& items, Address basis, Address values,
                       Address noise, Address x, Address grad_quad, Address grad_logdet,
                       const std::vector<bool>& wanted, Address grad_factors, Address grad_noise, Address grad_y,
                       int threads) {
    const GilReleased released;
    const gp::SpectralSystem system{batch, count, static_cast<int>(sizes.size()), sizes.data(), items.data()};
    gp::spectral_backward<T>(system, at<const T>(basis), at<const T>(values), at<const T>(noise), at<const T>(x),
                             at<const T>(grad_quad), at<const T>(grad_logdet), wanted, at<T>(grad_factors),
                             at<T>(grad_noise), at<T>(grad_y), threads);
}

bool eigh(const std::vector<std::tuple<Index, Index, Address, Address, Address>>& jobs, double asymmetry, int threads) {
    const GilReleased released;
    std::vector<gp::EighJob> list;
    for (const auto& [batch, n, a, values, vectors] : jobs) {
        list.push_back({batch, n, at<const double>(a), at<double>(values), at<double>(vectors)});
    }
    return gp::eigh(list, asymmetry, threads);
}

std::tuple<Index, double, double> durbin(Index n, Address column, Address predictor, Address work) {
    const GilReleased released;
    double logdet = 0, last = 0;
    const Index row =
        gp::durbin_kernel()(n, at<const double>(column), at<double>(predictor), &logdet, &last, at<double>(work));
    return {row, logdet, last};
}

template <class T>
std::pair<double, double> asymmetry(Index batch, Index n, Address a, int threads) {
    const GilReleased released;
    const gp::Asymmetry result = gp::asymmetry<T>(batch, n, at<const T>(a), threads);
    return {result.largest, result.difference};
}

template <class T>
bool all_finite(Index rows, Index n, Address x, int threads) {
    const GilReleased released;
    return gp::all_finite<T>(rows, n, at<const T>(x), threads);
}

template <class T>
void row_dots(Index rows, Index n, Address x, Address z, Address out, int threads) {
    const GilReleased released;
    gp::row_dots<T>(rows, n, at<const T>(x), at<const T>(z), at<double>(out), threads);
}

template <class T>
void scale_rows(Index rows, Index n, Address factor, Address x, Address out, int threads) {
    const GilReleased released;
    gp::scale_rows<T>(rows, n, at<const T>(factor), at<const T>(x), at<T>(out), threads);
}

template <class T>
void register_algebra(py::module_& module, const std::string& dtype) {
    const auto name = [&dtype](const char* what) { return std::string(what) + "_" + dtype; };
    module.def(name("mode_products").c_str(), mode_products<T>);
    module.def(name("triangular_solves").c_str(), triangular_solves<T>);
    module.def(name("spectral_divide").c_str(), spectral_divide<T>);
    module.def(name("spectral_sums").c_str(), spectral_sums<T>);
    module.def(name("mode_gram").c_str(), mode_gram<T>);
    module.def(name("spectral_forward").c_str(), spectral_forward<T>);
    module.def(name("spectral_backward").c_str(), spectral_backward<T>);
    module.def(name("asymmetry").c_str(), asymmetry<T>);
    module.def(name("all_finite").c_str(), all_finite<T>);
    module.def(name("row_dots").c_str(), row_dots<T>);
    module.def(name("scale_rows").c_str(), scale_rows<T>);
}

}  // namespace

void register_gp(py::module_& module) {
    register_algebra<float>(module, "float32");
    register_algebra<double>(module, "float64");
    module.def("eigh_float64", eigh);
    module.def("durbin_float64", durbin);
}
