#include <pybind11/pybind11.h>

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>

#include "bindings/addresses.hpp"
#include "bindings/dlpack.hpp"
#include "bindings/gil.hpp"
#include "bindings/rational_shape.hpp"
#include "bindings/register.hpp"
#include "kan/rational.hpp"

namespace py = pybind11;
using namespace fourfold;

namespace {

// Below so many elements a call takes about as long as letting another thread have the lock and taking it back.
constexpr std::size_t kWorthReleasing = 4096;

class SmallCalls;

// The shape of a call, checked in Python once and kept.
class Rational {
    friend SmallCalls;

public:
    explicit Rational(const kan::RationalShape& shape) : shape_(shape) {}

    void forward(Address x, Address numerator, Address denominator, Address out, int threads) const {
        refuse_null({x, numerator, out});
        unlocked([&] { kan::rational_forward(shape_, at(x), at(numerator), at(denominator), at(out), threads); });
    }

    void backward(Address gradient, Address x, Address numerator, Address denominator, Address x_gradient,
                  Address numerator_gradient, Address denominator_gradient, int threads) const {
        refuse_null({gradient, x, numerator, x_gradient, numerator_gradient});
        unlocked([&] {
            kan::rational_backward(shape_, at(gradient), at(x), at(numerator), at(denominator), at(x_gradient),
                                   at(numerator_gradient), at(denominator_gradient), threads);
        });
    }

private:
    template <class Work>
    void unlocked(Work work) const {
        if (shape_.rows * shape_.groups * shape_.run < kWorthReleasing) return work();
        const GilReleased released;
        work();
    }

    kan::RationalShape shape_;
};

// Forward passes of tensors so small that asking Python for their shapes and addresses takes longer than the rest:
// what `Rational`s were made for, by all that torch's own description of the tensors says.
class SmallCalls {
public:
    explicit SmallCalls(const py::capsule& api) : api_(api.get_pointer<const dlpack::ExchangeApi>()) {
        if (api_->major != 1) throw std::invalid_argument("the exchange API is not of version 1");
    }

    // Remembers a checked call, if it is one of those that `forward` does.
    void add(py::handle x, py::handle numerator, py::handle denominator, py::handle variant, py::handle dim,
             const Rational& call) {
        const auto found = read(x, numerator, denominator, variant, dim);
        if (!found) return;
        if (known_.size() >= kMostKnown) known_.clear();
        known_.insert_or_assign(found->key, call.shape_);
    }

    // False, and nothing done, if it is not known. `out` is laid out as x, and none of them is a negated view.
    bool forward(py::handle x, py::handle numerator, py::handle denominator, py::handle out, py::handle variant,
                 py::handle dim) const {
        const auto found = read(x, numerator, denominator, variant, dim);
        if (!found) return false;
        const auto at = known_.find(found->key);
        dlpack::Tensor result;
        if (at == known_.end() || !describe(out, result) || result.data == nullptr) return false;
        kan::rational_forward(at->second, found->x, found->numerator, found->denominator, result.data, 1);
        return true;
    }

private:
    static constexpr int kMostDimensions = 5;
    static constexpr std::size_t kMostKnown = 1024;
    using Key = std::array<std::int64_t, kMostDimensions + 10>;
    struct Call {
        Key key;
        const void *x, *numerator, *denominator;
    };

    bool describe(py::handle tensor, dlpack::Tensor& out) const {
        if (api_->describe(tensor.ptr(), &out) != 0) {
            PyErr_Clear();  // the caller goes the long way, which says what is wrong
            return false;
        }
        return out.device.type == 1 && out.byte_offset == 0 && out.is_contiguous();
    }

    std::optional<Call> read(py::handle x, py::handle numerator, py::handle denominator, py::handle variant,
                             py::handle dim) const {
        dlpack::Tensor at_x, at_a, at_b;
        if (!describe(x, at_x) || !describe(numerator, at_a) || !describe(denominator, at_b)) return {};
        if (at_x.dimensions > kMostDimensions || at_a.dimensions != 2 || at_b.dimensions != 2) return {};
        if (at_x.data == nullptr || at_a.data == nullptr) return {};
        if (!PyUnicode_Check(variant.ptr()) || PyUnicode_GET_LENGTH(variant.ptr()) != 1) return {};
        if (!PyLong_CheckExact(dim.ptr())) return {};
        int overflow = 0;
        const std::int64_t number = PyLong_AsLongLongAndOverflow(dim.ptr(), &overflow);
        // Coefficients of the type that is computed in: float, of 64 bits if x has 64.
        const int bits = at_x.dtype.bits == 64 ? 64 : 32;
        for (const dlpack::DataType& dtype : {at_a.dtype, at_b.dtype}) {
            if (dtype.code != 2 || dtype.bits != bits) return {};
        }
        Call call{{at_x.dimensions, at_x.dtype.code, at_x.dtype.bits, at_a.shape[0], at_a.shape[1], at_b.shape[0],
                   at_b.shape[1], static_cast<std::int64_t>(PyUnicode_READ_CHAR(variant.ptr(), 0)), number, overflow},
                  at_x.data,
                  at_a.data,
                  at_b.data};
        for (int d = 0; d < at_x.dimensions; ++d) call.key[10 + d] = at_x.shape[d];
        return call;
    }

    const dlpack::ExchangeApi* api_;
    std::map<Key, kan::RationalShape> known_;
};

}  // namespace

void register_kan(py::module_& module) {
    py::class_<Rational> rational(module, "Rational");
    define_constructor(rational);
    rational
        .def("forward", &Rational::forward, py::arg("x"), py::arg("numerator"), py::arg("denominator"), py::arg("out"),
             py::arg("threads"))
        .def("backward", &Rational::backward, py::arg("gradient"), py::arg("x"), py::arg("numerator"),
             py::arg("denominator"), py::arg("x_gradient"), py::arg("numerator_gradient"),
             py::arg("denominator_gradient"), py::arg("threads"));
    py::class_<SmallCalls>(module, "SmallCalls")
        .def(py::init<const py::capsule&>(), py::arg("api"), py::keep_alive<1, 2>())
        .def("add", &SmallCalls::add, py::arg("x"), py::arg("numerator"), py::arg("denominator"), py::arg("variant"),
             py::arg("dim"), py::arg("call"))
        .def("forward", &SmallCalls::forward, py::arg("x"), py::arg("numerator"), py::arg("denominator"),
             py::arg("out"), py::arg("variant"), py::arg("dim"));
}
