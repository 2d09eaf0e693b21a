#include <pybind11/pybind11.h>

#include <cstdint>

#include "bindings/addresses.hpp"
#include "bindings/gil.hpp"
#include "bindings/register.hpp"
#include "kan/rational.hpp"

namespace py = pybind11;
using namespace fourfold;

namespace {

// Below so many elements a call takes about as long as letting another thread have the lock and taking it back.
constexpr std::size_t kWorthReleasing = 4096;

// The shape of a call, checked in Python once and kept.
class Rational {
public:
    Rational(std::size_t rows, std::size_t groups, std::size_t run, int m, int n, bool shared_numerator,
             bool shared_denominator, int variant, int storage)
        : shape_{rows,
                 groups,
                 run,
                 m,
                 n,
                 shared_numerator,
                 shared_denominator,
                 static_cast<kan::Variant>(variant),
                 static_cast<kan::Storage>(storage)} {}

    void forward(std::uintptr_t x, std::uintptr_t numerator, std::uintptr_t denominator, std::uintptr_t out,
                 int threads) const {
        refuse_null({x, numerator, out});
        unlocked([&] { kan::rational_forward(shape_, at(x), at(numerator), at(denominator), at(out), threads); });
    }

    void backward(std::uintptr_t gradient, std::uintptr_t x, std::uintptr_t numerator, std::uintptr_t denominator,
                  std::uintptr_t x_gradient, std::uintptr_t numerator_gradient, std::uintptr_t denominator_gradient,
                  int threads) const {
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

}  // namespace

void register_kan(py::module_& module) {
    py::class_<Rational>(module, "Rational")
        .def(py::init<std::size_t, std::size_t, std::size_t, int, int, bool, bool, int, int>(), py::kw_only(),
             py::arg("rows"), py::arg("groups"), py::arg("run"), py::arg("m"), py::arg("n"),
             py::arg("shared_numerator"), py::arg("shared_denominator"), py::arg("variant"), py::arg("storage"))
        .def("forward", &Rational::forward, py::arg("x"), py::arg("numerator"), py::arg("denominator"), py::arg("out"),
             py::arg("threads"))
        .def("backward", &Rational::backward, py::arg("gradient"), py::arg("x"), py::arg("numerator"),
             py::arg("denominator"), py::arg("x_gradient"), py::arg("numerator_gradient"),
             py::arg("denominator_gradient"), py::arg("threads"));
}
