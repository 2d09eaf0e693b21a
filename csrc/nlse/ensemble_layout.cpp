#include "nlse/ensemble_layout.hpp"

#include "support/unit_root.hpp"

namespace fourfold::nlse {
namespace {

template <class T>
void append(std::vector<T>& table, unsigned length, unsigned radix) {
    UnitRounding round;
    const unsigned part = length / radix;
    for (unsigned i = 0; i < length; ++i) {
        const UnitRoot w = unit_root(static_cast<std::size_t>(i % part) * (i / part), length);
        T re = 1, im = 0;
        if (i >= part) round({w.cosine, -w.sine}, re, im);  // the others are 1, and never read
        table.push_back(re);
        table.push_back(im);
    }
}

}  // namespace

template <class T>
std::vector<T> ensemble_twiddles(const EnsembleLayout& layout) {
    std::vector<T> table;
    table.reserve(2 * static_cast<std::size_t>(layout.twiddles()));
    append(table, layout.n, layout.outer);
    for (unsigned stage = 0; stage + 1 < layout.inner; ++stage) append(table, layout.length(stage), 16);
    return table;
}

template std::vector<float> ensemble_twiddles(const EnsembleLayout&);
template std::vector<double> ensemble_twiddles(const EnsembleLayout&);

}  // namespace fourfold::nlse
