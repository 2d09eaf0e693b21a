#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <cstdint>
#include <vector>

#include "bindings/addresses.hpp"
#include "bindings/gil.hpp"
#include "bindings/register.hpp"
#include "gp/funbat.hpp"

namespace py = pybind11;
using namespace fourfold;

namespace {

using Addresses = std::vector<Address>;

}  // namespace

// See csrc/gp/funbat.hpp for the layout of what the addresses name.
void register_gp_funbat(py::module_& module) {
    module.attr("FUNBAT_MAX_RANK") = gp::kMaxRank;
    module.attr("FUNBAT_MAX_MODES") = gp::kMaxModes;
    module.def("funbat_chain_scratch", &gp::chain_scratch, py::kw_only(), py::arg("rank"), py::arg("order"),
               py::arg("count"));
    module.def(
        "funbat_chain_steps",
        [](int order, double rate, std::size_t count, Address length, Address step) {
            const GilReleased released;
            gp::chain_steps(order, rate, count, at<const double>(length), at<double>(step));
        },
        py::kw_only(), py::arg("order"), py::arg("rate"), py::arg("count"), py::arg("length"), py::arg("step"));
    module.def(
        "funbat_smooth_chain",
        [](int rank, int order, std::size_t count, Address length, Address step, Address variance, Address observed,
           Address precision, Address shift, double scale, const std::array<Address, 6>& out, Address scratch) {
            const GilReleased released;
            const gp::Chain chain{rank,
                                  order,
                                  count,
                                  at<const double>(length),
                                  at<const double>(step),
                                  at<const double>(variance),
                                  at<const std::uint8_t>(observed),
                                  at<const double>(precision),
                                  at<const double>(shift),
                                  scale};
            const gp::ChainResults results{at<double>(out[0]), at<double>(out[1]), at<double>(out[2]),
                                           at<double>(out[3]), at<double>(out[4]), at<double>(out[5])};
            return gp::smooth_chain(chain, results, at<double>(scratch));
        },
        py::kw_only(), py::arg("rank"), py::arg("order"), py::arg("count"), py::arg("length"), py::arg("step"),
        py::arg("variance"), py::arg("observed"), py::arg("precision"), py::arg("shift"), py::arg("scale"),
        py::arg("out"), py::arg("scratch"));
    module.def(
        "funbat_sum_entries",
        [](bool tucker, std::size_t count, std::size_t times, Address start, Address places, Address value,
           const std::vector<int>& rank, const Addresses& mean, const Addresses& second, Address first_sum,
           Address second_sum, int threads) {
            const GilReleased released;
            const std::vector<const double*> means = all_at<const double>(mean), seconds = all_at<const double>(second);
            const gp::Entries entries{tucker,
                                      count,
                                      times,
                                      at<const std::int64_t>(start),
                                      static_cast<int>(rank.size()),
                                      at<const std::int32_t>(places),
                                      at<const double>(value),
                                      rank.data(),
                                      means.data(),
                                      seconds.data()};
            std::vector<double> scratch(gp::entries_scratch(entries) * threads);
            gp::sum_entries(entries, at<double>(first_sum), at<double>(second_sum), scratch.data(), threads);
        },
        py::kw_only(), py::arg("tucker"), py::arg("count"), py::arg("times"), py::arg("start"), py::arg("places"),
        py::arg("value"), py::arg("rank"), py::arg("mean"), py::arg("second"), py::arg("first_sum"),
        py::arg("second_sum"), py::arg("threads"));
    module.def(
        "funbat_evaluate_points",
        [](bool tucker, std::size_t count, Address places, const std::vector<int>& rank, const Addresses& mean,
           const Addresses& covariance, Address core_mean, Address core_covariance, Address out_mean,
           Address out_variance, int threads) {
            const GilReleased released;
            const std::vector<const double*> means = all_at<const double>(mean),
                                             covariances = all_at<const double>(covariance);
            const gp::Points points{tucker,
                                    count,
                                    static_cast<int>(rank.size()),
                                    at<const std::int32_t>(places),
                                    rank.data(),
                                    means.data(),
                                    covariances.data(),
                                    at<const double>(core_mean),
                                    at<const double>(core_covariance)};
            std::vector<double> scratch(gp::points_scratch(points) * threads);
            gp::evaluate_points(points, at<double>(out_mean), at<double>(out_variance), scratch.data(), threads);
        },
        py::kw_only(), py::arg("tucker"), py::arg("count"), py::arg("places"), py::arg("rank"), py::arg("mean"),
        py::arg("covariance"), py::arg("core_mean"), py::arg("core_covariance"), py::arg("out_mean"),
        py::arg("out_variance"), py::arg("threads"));
    const auto product = [&module](const char* name, auto function) {
        module.def(
            name,
            [function](std::size_t rows, std::size_t columns, std::size_t inner, Address a, Address b, Address out,
                       int threads) {
                const GilReleased released;
                function(rows, columns, inner, at<const double>(a), at<const double>(b), at<double>(out), threads);
            },
            py::kw_only(), py::arg("rows"), py::arg("columns"), py::arg("inner"), py::arg("a"), py::arg("b"),
            py::arg("out"), py::arg("threads"));
    };
    product("funbat_rows_times_rows", &gp::rows_times_rows);
    product("funbat_columns_times_columns", &gp::columns_times_columns);
    module.def(
        "funbat_invert",
        [](std::size_t n, Address matrix, Address inverse, Address logdet) {
            const GilReleased released;
            std::vector<double> work(2 * n * n);
            return gp::invert(n, at<const double>(matrix), at<double>(inverse), at<double>(logdet), work.data());
        },
        py::kw_only(), py::arg("n"), py::arg("matrix"), py::arg("inverse"), py::arg("logdet"));
}
